/** What the user gives to a LocalClient; nothing is looked for elsewhere. */
import { dedalusManners } from "../dedalus/manners";
import { UsageError } from "../errors";
import { httpDefaults, type TransportSettings } from "../http";
import { retryDefaults } from "../retry-timing";
import { atLeast, connectionLimit, headerText, readBaseUrl } from "../setting-values";

export interface LocalSettings {
  /** Of the embedded control plane itself, above both dialects: http://127.0.0.1:4590. */
  baseUrl: string;
  /** Sent as `Authorization: Bearer`. */
  apiKey: string;
  /** One call with all its retries, in milliseconds; default 60000. Calls that copy a disk have an hour. */
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

/** @throws UsageError `missing_api_key`, `invalid_api_key`, `invalid_base_url`, `invalid_argument` */
export function transportSettings({
  baseUrl,
  apiKey,
  timeoutMs,
  maxRetries,
  maxConnections,
  longestWaitMs,
}: LocalSettings): TransportSettings {
  const url = readBaseUrl(baseUrl.replace(/\/+$/, ""), {
    example: "http://127.0.0.1:4590",
    names: "baseUrl",
  });
  if (apiKey === "") {
    throw new UsageError({ message: `no API key for ${url.origin}: give apiKey`, code: "missing_api_key" });
  }
  return {
    ...dedalusManners,
    advice: {
      checkUrl: "Check the base URL, and that the control plane runs.",
      checkKey: "Check the API key (apiKey in endpoint.json of the control plane's state folder).",
      checkAccess: "Check the API key.",
    },
    baseUrl: url,
    headers: { authorization: `Bearer ${headerText("the API key", "invalid_api_key", apiKey)}` },
    secrets: [apiKey],
    timeoutMs: atLeast("timeoutMs", 1, timeoutMs ?? httpDefaults.timeoutMs),
    maxRetries: atLeast("maxRetries", 0, maxRetries ?? retryDefaults.maxRetries),
    ...connectionLimit(maxConnections),
    longestWaitMs,
  };
}
