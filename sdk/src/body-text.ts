/** Reads an answer's body as text, up to a limit. */
import type { Readable } from "node:stream";
import type { Redact } from "./redact";

export interface BodyText {
  text: string;
  /** True when the body is longer than the limit; the rest was not read. */
  cut: boolean;
}

/** Longer than any key: what a cut could leave of one. */
const keyMargin = 4_096;

/** @param redact when given, keys are taken out before the text is cut, so that no half of one stays */
export async function readText(body: Readable, limitBytes: number, redact?: Redact): Promise<BodyText> {
  const readLimit = limitBytes + (redact ? keyMargin : 0);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    // Leaving the loop destroys the body, and with it the connection.
    if (size > readLimit) break;
  }
  const text = new TextDecoder().decode(Buffer.concat(chunks).subarray(0, readLimit));
  const cut = size > limitBytes;
  if (!redact) return { text, cut };
  const clean = redact(text);
  // Where reading stopped, the end may be the start of a key.
  const whole = size > readLimit ? clean.slice(0, Math.max(0, clean.length - keyMargin)) : clean;
  return { text: whole.slice(0, limitBytes), cut };
}
