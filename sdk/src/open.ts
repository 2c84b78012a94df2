/** A value that the vendor may add to a closed set later: shown as it is, never a crash. */
export type Open<T extends string> = T | (string & Record<never, never>);
