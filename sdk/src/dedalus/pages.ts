/** Cursor pages, as pages or as one run of items. */
import { pagesOf, type Pages } from "../listing";
import type { Page } from "./wire";

export interface PageParams {
  /** Items in one page; the service has its own default and limit. */
  limit?: number | undefined;
  /** Start after the page that answered this as `nextCursor`. */
  cursor?: string | undefined;
}

/** Each `for await` starts anew; nothing is asked before it. A page's `nextCursor` leads to the next one. */
export type Listing<T> = Pages<T, Page<T>>;

export const listing = <T>(fetch: (cursor?: string) => Promise<Page<T>>, first?: string): Listing<T> =>
  pagesOf<T, Page<T>, string>({
    fetch,
    items: (page) => page.items,
    // An empty page ends the list whatever its cursor says, as in the vendor's own clients.
    next: (page) => (page.items.length === 0 ? undefined : page.nextCursor),
    first,
  });
