/** Opaque page cursors: the position after which a page begins. */
import { Refusal } from "./control-plane";

export const encodeCursor = (position: number): string =>
  Buffer.from(`p${String(position)}`).toString("base64url");

/** @throws Refusal bad_cursor */
export function decodeCursor(cursor: string): number {
  const match = /^p(\d{1,15})$/.exec(Buffer.from(cursor, "base64url").toString());
  if (!match || encodeCursor(Number(match[1])) !== cursor) {
    throw new Refusal("bad_cursor", "the cursor is not one that this service gave out");
  }
  return Number(match[1]);
}
