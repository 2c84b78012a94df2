/** Takes the keys out of everything that a person may read, also when a server echoes them back. Pure. */
import { inspect, types } from "node:util";

export type Redact = (text: string) => string;

/** Replaces each secret, as it is and as JSON or a URL would write it, by `[redacted]`. */
export function redactor(secrets: readonly string[]): Redact {
  const forms = secrets
    .filter((secret) => secret !== "")
    .flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)])
    .sort((a, b) => b.length - a.length)
    .map((form) => form.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"));
  if (forms.length === 0) return (text) => text;
  // One pass over all forms, so that a short key cannot match inside the replacement of another.
  const pattern = new RegExp([...new Set(forms)].join("|"), "gi");
  return (text) => text.replace(pattern, "[redacted]");
}

/** The same value with every text in it redacted; what is neither text, list nor plain object stays as it is. */
export function redactDeep<T>(value: T, redact: Redact): T {
  if (typeof value === "string") return redact(value) as T;
  if (Array.isArray(value)) return value.map((item: unknown) => redactDeep(item, redact)) as T;
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [redact(key), redactDeep(item, redact)]),
  ) as T;
}

/** The original error when nothing in it is secret, else a copy without the secret. */
export function redactCause(cause: unknown, redact: Redact): unknown {
  // The HTTP parser's error, for one, carries the bytes that it could not read.
  const shown = inspect(cause, { depth: 6, maxStringLength: Infinity });
  if (redact(shown) === shown) return cause;
  const message = types.isNativeError(cause) ? cause.message : shown;
  return Object.assign(new Error(redact(message)), {
    name: types.isNativeError(cause) ? cause.name : "Error",
    stack: undefined,
  });
}
