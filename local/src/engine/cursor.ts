/** Opaque page cursors: the position after which a page begins. */
import { type PageResult, Refusal } from "./control-plane";

export const cursorAt = (position: number): string =>
  Buffer.from(`p${String(position)}`).toString("base64url");

/** @throws Refusal bad_cursor */
export function positionOf(cursor: string): number {
  const match = /^p(\d{1,15})$/.exec(Buffer.from(cursor, "base64url").toString());
  if (!match || cursorAt(Number(match[1])) !== cursor) {
    throw new Refusal("bad_cursor", "the cursor is not one that this service gave out");
  }
  return Number(match[1]);
}

/** A page of rows, of which one more than `limit` were asked for. */
export function pageOf<R extends { seq: number }, T>(
  rows: readonly R[],
  limit: number,
  toItem: (row: R) => T,
): PageResult<T> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    items: shown.map(toItem),
    ...(rows.length > limit && last ? { nextCursor: cursorAt(last.seq) } : {}),
  };
}
