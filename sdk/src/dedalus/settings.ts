/** What the user gives, and what the environment adds. Read when a client is made, never at import. */
import { UsageError } from "../errors";
import { httpDefaults, type TransportSettings } from "../http";
import { retryDefaults } from "../retry-timing";
import { atLeast, connectionLimit, headerText, readBaseUrl } from "../setting-values";
import { dedalusManners } from "./manners";

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
  /** Connections that are open at once for requests, and as many for event streams; more wait. Default no limit. */
  maxConnections?: number | undefined;
  /**
   * A longer pause before a retry is left to the caller, in milliseconds: the call throws, and the error has `retryAfterMs`. Default
   * one minute.
   */
  longestWaitMs?: number | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws UsageError `missing_api_key`, `invalid_api_key`, `invalid_base_url`, `invalid_argument` */
export function transportSettings(given: DedalusSettings, environment: Environment): TransportSettings {
  const baseUrl = readBaseUrl(given.baseUrl || environment.DEDALUS_BASE_URL || defaultBaseUrl, {
    example: defaultBaseUrl,
    names: "baseUrl or DEDALUS_BASE_URL",
  });
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
    ...dedalusManners,
    baseUrl,
    headers,
    secrets: [apiKey, xApiKey].filter((key) => key !== undefined && key !== "") as string[],
    timeoutMs: atLeast("timeoutMs", 1, given.timeoutMs ?? httpDefaults.timeoutMs),
    maxRetries: atLeast("maxRetries", 0, given.maxRetries ?? retryDefaults.maxRetries),
    ...connectionLimit(given.maxConnections),
    longestWaitMs: given.longestWaitMs,
  };
}
