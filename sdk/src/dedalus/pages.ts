/** Cursor pages, as pages or as one run of items. */
import { ProtocolError } from "../errors";
import type { Page } from "./wire";

export interface PageParams {
  /** Items in one page; the service has its own default and limit. */
  limit?: number | undefined;
  /** Start after the page that answered this as `nextCursor`. */
  cursor?: string | undefined;
}

/** Each `for await` starts anew; nothing is asked before it. */
export interface Listing<T> extends AsyncIterable<T> {
  /** The pages, from the first one. */
  pages(): AsyncIterable<Page<T>>;
  /** The first page only; its `nextCursor` leads to the next one. */
  page(): Promise<Page<T>>;
}

export function listing<T>(fetchPage: (cursor?: string) => Promise<Page<T>>, first?: string): Listing<T> {
  async function* pages(): AsyncGenerator<Page<T>, void> {
    const asked = new Set<string>();
    for (let cursor = first; ;) {
      if (cursor !== undefined) asked.add(cursor);
      const page = await fetchPage(cursor);
      yield page;
      cursor = page.nextCursor;
      // An empty page ends the list whatever its cursor says, as in the vendor's own clients.
      if (cursor === undefined || page.items.length === 0) return;
      if (asked.has(cursor)) {
        throw new ProtocolError({
          message: "the service answered the same page cursor twice, so the list would never end",
          code: "repeated_cursor",
        });
      }
    }
  }
  return {
    page: () => fetchPage(first),
    pages,
    async *[Symbol.asyncIterator]() {
      for await (const page of pages()) yield* page.items;
    },
  };
}
