/** Checks of what a user gives as settings, the same for all clients. Values that may hold a secret are never repeated. */
import { UsageError } from "./errors";

/** @throws UsageError `invalid_base_url` */
export function readBaseUrl(text: string, { example, names }: { example: string; names: string }): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const problem = !url
    ? "it is no URL"
    : url.protocol !== "http:" && url.protocol !== "https:"
      ? "it must start with http:// or https://"
      : url.username || url.password
        ? "it must hold no user name or password; give the key as apiKey"
        : url.search || url.hash
          ? "it must have no query and no fragment"
          : undefined;
  if (url && !problem) return url;
  throw new UsageError({
    // The text itself stays out: it may hold a password.
    message: `the base URL is not usable: ${problem ?? ""}. Write it like ${example} (${names}).`,
    code: "invalid_base_url",
  });
}

/** @throws UsageError with this code */
export function headerText(what: string, code: string, value: string): string {
  if (/^[\x21-\x7e]+$/.test(value)) return value;
  throw new UsageError({
    message: `${what} holds a space, a line break or another character that a header cannot carry; was it copied whole?`,
    code,
  });
}

/** @throws UsageError `invalid_argument` */
export function atLeast(name: string, least: number, value: number): number {
  if (value >= least) return value;
  const message = `${name} must be a number of at least ${String(least)}, not ${String(value)}`;
  throw new UsageError({ message, code: "invalid_argument" });
}

/** @throws UsageError `invalid_argument` */
export const connectionLimit = (given: number | undefined): { maxConnections?: number } =>
  given === undefined ? {} : { maxConnections: atLeast("maxConnections", 1, given) };
