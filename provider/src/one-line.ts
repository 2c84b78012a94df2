/** Words of a service, fit for one line of a terminal: no line breaks, no control characters, at most 2,000 characters. Pure. */
export function oneLine(text: string): string {
  const plain = text.replace(/\s*[\u0000-\u001f\u007f-\u009f]+\s*/g, " ").trim();
  return plain.length > 2_000 ? `${plain.slice(0, 2_000)}...` : plain;
}
