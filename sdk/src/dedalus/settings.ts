/** What the user gives, and what the environment adds. Read when a client is made, never at import. */
import { UsageError } from "../errors";
import { httpDefaults, type TransportSettings } from "../http";
import { retryDefaults } from "../retry-timing";
import { readErrorEnvelope } from "./error-envelope";

export const defaultBaseUrl = "https://dcs.dedaluslabs.ai";

export interface DedalusSettings {
  /** Default `DEDALUS_BASE_URL`, else https://dcs.dedaluslabs.ai. A path prefix is kept. */
  baseUrl?: string | undefined;
  /** Sent as `Authorization: Bearer`. Default `DEDALUS_API_KEY`, unless `xApiKey` is given here. */
  apiKey?: string | undefined;
  /** Sent as `x-api-key`; with both, both are sent. Default `DEDALUS_X_API_KEY`, unless `apiKey` is given here. */
  xApiKey?: string | undefined;
  /** Sent as `X-Dedalus-Org-Id`. Default `DEDALUS_ORG_ID`; an empty text sends none. */
  organizationId?: string | undefined;
  /** One call with all its retries, in milliseconds; default 60000, past it DeadlineError. Streams are not bound by it. */
  timeoutMs?: number | undefined;
  /** Tries after the first one; default 2, 0 is none. */
  maxRetries?: number | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws UsageError `missing_api_key`, `invalid_api_key`, `invalid_base_url`, `invalid_argument` */
export function transportSettings(given: DedalusSettings, environment: Environment): TransportSettings {
  const baseUrl = readBaseUrl(given.baseUrl || environment.DEDALUS_BASE_URL || defaultBaseUrl);
  // A key given in the program is meant for this service; one from the environment may belong to another.
  const explicit = Boolean(given.apiKey) || Boolean(given.xApiKey);
  const apiKey = explicit ? given.apiKey : environment.DEDALUS_API_KEY;
  const xApiKey = explicit ? given.xApiKey : environment.DEDALUS_X_API_KEY;
  const organizationId = given.organizationId ?? environment.DEDALUS_ORG_ID;
  if (!apiKey && !xApiKey) {
    throw new UsageError({
      message: `no API key for ${baseUrl.origin}: give apiKey or xApiKey, or set DEDALUS_API_KEY or DEDALUS_X_API_KEY`,
      code: "missing_api_key",
    });
  }
  const headers: Record<string, string> = {};
  if (apiKey) headers["authorization"] = `Bearer ${headerText("the API key", "invalid_api_key", apiKey)}`;
  if (xApiKey) headers["x-api-key"] = headerText("the x-api-key", "invalid_api_key", xApiKey);
  if (organizationId) {
    headers["x-dedalus-org-id"] = headerText("the organization id", "invalid_argument", organizationId);
  }
  return {
    baseUrl,
    headers,
    secrets: [apiKey, xApiKey].filter((key) => key !== undefined && key !== "") as string[],
    timeoutMs: atLeast("timeoutMs", 1, given.timeoutMs ?? httpDefaults.timeoutMs),
    maxRetries: atLeast("maxRetries", 0, given.maxRetries ?? retryDefaults.maxRetries),
    readError: readErrorEnvelope,
  };
}

function readBaseUrl(text: string): URL {
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
    message: `the base URL is not usable: ${problem ?? ""}. Write it like ${defaultBaseUrl} (baseUrl or DEDALUS_BASE_URL).`,
    code: "invalid_base_url",
  });
}

function headerText(what: string, code: string, value: string): string {
  if (/^[\x21-\x7e]+$/.test(value)) return value;
  throw new UsageError({
    message: `${what} holds a space, a line break or another character that a header cannot carry; was it copied whole?`,
    code,
  });
}

function atLeast(name: string, least: number, value: number): number {
  if (value >= least) return value;
  const message = `${name} must be a number of at least ${String(least)}, not ${String(value)}`;
  throw new UsageError({ message, code: "invalid_argument" });
}
