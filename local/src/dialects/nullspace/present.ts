/** Leaves out what is null: the vendor's optional members are absent, never null. */
export const present = <T extends object>(value: T) =>
  Object.fromEntries(Object.entries(value).filter(([, member]) => member !== null && member !== undefined));
