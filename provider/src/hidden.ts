/**
 * Inputs that the resource class adds for its own use. Their names begin with "__", which keeps them out of the CLI's
 * displays; a change in them is no change of the machine. They are in states for ever: never rename one.
 */
export interface HiddenInputs {
  /** The code that Pulumi loads; see loader.ts. */
  __provider?: string;
  /** The resource's URN: a dynamic provider is not told. */
  __urn?: string;
  /** Of the stack; see stack-identity.ts. */
  __stackIdentity?: string;
  /** Of a Machine: true when the option `replaceOnChanges` covers `storageGiB`. */
  __replaceOnStorageChange?: boolean;
  /** In a state only: where the resource is; see same-backend.ts. */
  __backend?: string;
  /** Arguments that the check filled in with a default. */
  __defaults?: string[];
}

export const isHidden = (name: string): boolean => name.startsWith("__");

/** What Pulumi sends for a value that is not known yet in a preview. */
export const unknownValue = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** True when the value, or anything in it, is not known yet. */
export const isUnknown = (value: unknown): boolean =>
  value === unknownValue ||
  (typeof value === "object" && value !== null && Object.values(value).some(isUnknown));
