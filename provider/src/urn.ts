/** What a resource's URN tells. Pure. */

/** The hidden input, which the resource class adds: a dynamic provider is not told. Empty where there is none. */
export const urnOf = (properties: Record<string, unknown>): string =>
  typeof properties.__urn === "string" ? properties.__urn : "";

/** The resource's name in the program. */
export const nameOf = (urn: string): string =>
  urn === "" ? "unnamed" : urn.slice(urn.lastIndexOf("::") + 2);
