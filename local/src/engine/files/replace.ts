/** Plain text replaced in content that fits in memory. */
import { isUtf8 } from "node:buffer";

export interface Replaced {
  content: Buffer;
  count: number;
}

/** How far into a file `grep` looks for what makes it binary, too. */
const sniffBytes = 32_768;

export const isBinary = (content: Buffer): boolean =>
  content.subarray(0, sniffBytes).includes(0) || !isUtf8(content);

/** Every occurrence from the left, none overlapping. */
export function replaceText(content: Buffer, pattern: string, replacement: string): Replaced {
  const wanted = Buffer.from(pattern);
  const instead = Buffer.from(replacement);
  const parts: Buffer[] = [];
  let from = 0;
  let count = 0;
  for (let at = content.indexOf(wanted); at >= 0; at = content.indexOf(wanted, from)) {
    parts.push(content.subarray(from, at), instead);
    from = at + wanted.length;
    count++;
  }
  return { content: Buffer.concat([...parts, content.subarray(from)]), count };
}
