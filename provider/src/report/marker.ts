/** The hidden first line of a report, by which a job finds its own comment again. Pure. */
import { createHash } from "node:crypto";

const maxLength = 150;

/** One line, always the same for a stack; two stacks never have the same. */
export const markerOf = (project: string, stack: string): string =>
  `<!-- pulumi-machines report: ${part(project)}/${part(stack)} -->`;

/** Nothing in it can end a comment: what is not a letter, a digit, ".", "_" or a single "-" is encoded. */
function part(text: string): string {
  const bytes = [...new TextEncoder().encode(text)];
  const encoded = bytes.map((byte, index) => encodedByte(byte, bytes[index - 1])).join("");
  if (encoded.length <= maxLength) return encoded;
  // The hash keeps long names apart.
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 16);
  return `${encoded.slice(0, maxLength - 17).replace(/%.?$/, "")}.${hash}`;
}

function encodedByte(byte: number, before: number | undefined): string {
  const character = String.fromCharCode(byte);
  const double = character === "-" && byte === before;
  if (/[A-Za-z0-9._-]/.test(character) && !double) return character;
  return `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
}
