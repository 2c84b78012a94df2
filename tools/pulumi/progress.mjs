const secondsSince = (startedAtMs) => Math.round((Date.now() - startedAtMs) / 1000);

/** Tells nobody: for callers that need the result only. */
export const silent = { start() {}, detail() {}, done() {}, note() {}, close() {} };

/**
 * Says on a stream what is being done, for how long already and how long it usually takes: one line rewritten every second
 * on a terminal, one line every 30 seconds in a log.
 */
export function progressOn(stream) {
  const isTerminal = stream.isTTY === true;
  let timer;
  let current;

  const text = () => {
    const { what, usually, startedAtMs, detail } = current;
    return `${what}: ${secondsSince(startedAtMs)} s (${usually})${detail ? `, ${detail}` : ""}`;
  };
  const show = () =>
    stream.write(isTerminal ? `\r\x1b[2K${text().slice(0, stream.columns || 80)}` : `${text()}\n`);
  const close = () => {
    clearInterval(timer);
    if (current && isTerminal) stream.write("\r\x1b[2K");
    current = undefined;
  };

  return {
    start(what, usually) {
      close();
      current = { what, usually, startedAtMs: Date.now() };
      show();
      timer = setInterval(show, isTerminal ? 1_000 : 30_000);
    },
    detail(detail) {
      if (current) current.detail = detail;
    },
    done(outcome) {
      const seconds = current && secondsSince(current.startedAtMs);
      close();
      stream.write(seconds === undefined ? `${outcome}\n` : `${outcome} (${seconds} s)\n`);
    },
    note(line) {
      close();
      stream.write(`${line}\n`);
    },
    close,
  };
}
