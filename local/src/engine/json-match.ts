/** Whether a JSON object has all of these pairs; values are compared whole, as JSON. */
import { isDeepStrictEqual } from "node:util";

export function hasPairs(object: Readonly<Record<string, unknown>>, pairs: Record<string, unknown>): boolean {
  return Object.entries(pairs).every(
    ([name, value]) => Object.hasOwn(object, name) && isDeepStrictEqual(object[name], asStored(value)),
  );
}

/** What a value is after it was written and read: -0 is 0, and undefined members are gone. */
const asStored = (value: unknown): unknown =>
  value === undefined ? undefined : (JSON.parse(JSON.stringify(value)) as unknown);
