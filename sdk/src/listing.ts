/** Lists that come in pages, as pages or as one run of items. Pure but for what it is given to fetch with. */
import { ProtocolError } from "./errors";
import { RecentIds } from "./recent-ids";

/** Each `for await` starts anew; nothing is asked before it. */
export interface Pages<T, P> extends AsyncIterable<T> {
  /** The pages, from the first one. */
  pages(): AsyncIterable<P>;
  /** The first page only. */
  page(): Promise<P>;
}

export interface PageSource<T, P, C extends string | number> {
  fetch(cursor: C | undefined): Promise<P>;
  items(page: P): readonly T[];
  /** Where the next page starts; undefined after the last. */
  next(page: P, cursor: C | undefined): C | undefined;
  first?: C | undefined;
  /**
   * For pages by offset: names an item, so that one which new items pushed to a later page comes once all the same. Pages
   * themselves stay as the service answers them.
   */
  idOf?: ((item: T) => string) | undefined;
}

/** Ids that are remembered for `idOf`, at least; more new items than this between two pages may show as repeats. */
const remembered = 10_000;

/** A cursor that comes a second time ends the list with `repeated_cursor`: it would never end by itself. */
export function pagesOf<T, P, C extends string | number>(source: PageSource<T, P, C>): Pages<T, P> {
  async function* pages(): AsyncGenerator<P, void> {
    const asked = new Set<C>();
    for (let cursor = source.first; ;) {
      if (cursor !== undefined) asked.add(cursor);
      const page = await source.fetch(cursor);
      yield page;
      cursor = source.next(page, cursor);
      if (cursor === undefined) return;
      if (asked.has(cursor)) {
        throw new ProtocolError({
          message: "the service answered the same page cursor twice, so the list would never end",
          code: "repeated_cursor",
        });
      }
    }
  }
  return {
    page: () => source.fetch(source.first),
    pages,
    async *[Symbol.asyncIterator]() {
      const seen = new RecentIds(remembered);
      const { idOf } = source;
      for await (const page of pages()) {
        const items = source.items(page);
        yield* idOf ? items.filter((item) => seen.isNew(idOf(item))) : items;
      }
    },
  };
}
