/** Random ids: lower case letters and digits, 100 bits, so that every dialect can carry them. */
import { randomBytes } from "node:crypto";

const alphabet = "0123456789abcdefghijklmnopqrstuv";

export const newId = (prefix = ""): string =>
  prefix + Array.from(randomBytes(20), (byte) => alphabet[byte & 31] ?? "").join("");
