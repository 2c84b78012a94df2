/** What a path, a name or an account of a machine may look like before it is given to a program. */
import { Refusal } from "../control-plane";

/** Linux takes no longer path, in bytes. */
const maxPathBytes = 4096;
const accountName = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}\$?$/;
const octalMode = /^[0-7]{3,4}$/;

/** For messages: quoted, and cut where it is long. */
export const quoted = (text: string): string =>
  JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}...` : text);

/** @throws Refusal file_refused */
export function checkPath(path: string): string {
  if (path === "") throw new Refusal("file_refused", 'the path is empty: give one such as "/root/notes.txt"');
  if (path.includes("\0")) throw new Refusal("file_refused", `${quoted(path)}: a path cannot hold a NUL`);
  if (!path.isWellFormed()) {
    throw new Refusal(
      "file_refused",
      `${quoted(path)}: a path must be Unicode text (half a surrogate pair in it)`,
    );
  }
  if (Buffer.byteLength(path) >= maxPathBytes) {
    throw new Refusal(
      "file_refused",
      `${quoted(path)}: a path must be shorter than ${String(maxPathBytes)} bytes`,
    );
  }
  return path;
}

/** Undefined for root, whom every program runs as. @throws Refusal file_refused */
export function checkAccount(user: string | undefined): string | undefined {
  if (user === undefined || user === "root" || user === "0") return undefined;
  if (!accountName.test(user))
    throw new Refusal("file_refused", `${quoted(user)} cannot be the name of an account`);
  return user;
}

/** @throws Refusal invalid_argument */
export function checkMode(permissions: string): string {
  if (octalMode.test(permissions)) return permissions;
  throw new Refusal(
    "invalid_argument",
    `${quoted(permissions)} are no permissions: give them in octal, such as "0644"`,
  );
}

/** A text for a program's arguments: a pattern, or what to look for. @throws Refusal invalid_argument */
export function checkPattern(pattern: string): string {
  const wrong =
    pattern === ""
      ? "the pattern is empty"
      : /\0/.test(pattern) || !pattern.isWellFormed()
        ? "a pattern must be Unicode text without a NUL"
        : Buffer.byteLength(pattern) > maxPathBytes
          ? `a pattern must have at most ${String(maxPathBytes)} bytes`
          : undefined;
  if (wrong !== undefined) throw new Refusal("invalid_argument", wrong);
  return pattern;
}
