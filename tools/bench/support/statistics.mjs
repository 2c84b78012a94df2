/** Orders and formats of samples. */

/** The nearest-rank percentile: a value that was really seen. */
export function percentile(samples, percent) {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)];
}

export const median = (samples) => percentile(samples, 50);

export const ms = (value) =>
  `${value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0)} ms`;
export const seconds = (valueMs) => `${(valueMs / 1000).toFixed(2)} s`;
export const times = (ratio) => (ratio >= 100 ? ratio.toFixed(0) : ratio.toFixed(2));
export const count = (value) => Math.round(value).toLocaleString("en-US");
