/** Work of the same name, one after the other within this process. */
const last = new Map<string, Promise<unknown>>();

export async function inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
  const mine = (last.get(name) ?? Promise.resolve()).then(work);
  const over = mine.catch(() => undefined);
  last.set(name, over);
  try {
    return await mine;
  } finally {
    if (last.get(name) === over) last.delete(name);
  }
}
