/** What the user gives to a NullspaceClient, and what is found elsewhere. Read when a client is made, never at import. */
import { UsageError } from "../errors";
import type { TransportSettings } from "../http";
import { atLeast, connectionLimit, headerText, readBaseUrl } from "../setting-values";
import { findApiKey, findBaseUrl, type Places } from "./credentials";
import { nullspaceManners } from "./manners";
import { retryLimits } from "./retry";
import { timeLimits } from "./time-limits";

export const defaultBaseUrl = "http://localhost:3000";

export interface NullspaceSettings {
  /**
   * Sent as `Authorization: Bearer`. Default: `NULLSPACE_API_KEY` or `NULLSPACE_TOKEN` of the environment, then of `.env`
   * in the working folder, then `api_key` in `$XDG_CONFIG_HOME/nullspace/config.json` or `~/.nullspace/config.json`.
   * Trimmed; an empty text given here is refused (`missing_api_key`), it does not fall through.
   */
  apiKey?: string | undefined;
  /**
   * Default: `NULLSPACE_API_URL` or `NULLSPACE_BASE_URL` of the environment, then of `.env`, then `base_url` or `api_url`
   * of the settings files, then http://localhost:3000. A path prefix is kept. The key goes to its origin only.
   */
  baseUrl?: string | undefined;
  /**
   * Silence after which one request counts as lost, in milliseconds; default 30000. Calls that make or move a machine
   * have their own limits: create 120000, hibernate, resume, fork and snapshot 300000, uploads and downloads 300000.
   */
  timeoutMs?: number | undefined;
  /**
   * Tries after the first one when the service answers 429; default 3. 0 turns every repeat off, those of create and of
   * uploads too.
   */
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
export function transportSettings(
  given: NullspaceSettings,
  places: Places,
): TransportSettings & { attemptTimeoutMs: number } {
  const baseUrl = readBaseUrl(withoutSlash(urlText(given.baseUrl, places)), {
    example: defaultBaseUrl,
    names: "baseUrl or NULLSPACE_API_URL",
  });
  const apiKey = given.apiKey === undefined ? findApiKey(places) : given.apiKey.trim();
  if (apiKey === undefined || apiKey === "") {
    throw new UsageError({
      message:
        `no API key for ${baseUrl.origin}: ${given.apiKey === undefined ? "give apiKey" : "the apiKey given is empty; give one"}, ` +
        "or set NULLSPACE_API_KEY, or log in with the vendor's command line",
      code: "missing_api_key",
    });
  }
  return {
    ...nullspaceManners,
    baseUrl,
    headers: { authorization: `Bearer ${headerText("the API key", "invalid_api_key", apiKey)}` },
    secrets: [apiKey],
    timeoutMs: timeLimits.wholeCallMs,
    attemptTimeoutMs: atLeast("timeoutMs", 1, given.timeoutMs ?? timeLimits.requestMs),
    maxRetries: atLeast("maxRetries", 0, given.maxRetries ?? retryLimits.afterLimit),
    ...connectionLimit(given.maxConnections),
    longestWaitMs: given.longestWaitMs,
  };
}

/** An empty URL given here means the default, as in the vendor's client. */
const urlText = (given: string | undefined, places: Places): string =>
  (given === undefined ? findBaseUrl(places) : given.trim()) || defaultBaseUrl;

const withoutSlash = (url: string): string => url.replace(/\/+$/, "");
