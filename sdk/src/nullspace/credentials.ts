/** Where a Nullspace client finds its key and its URL, in the vendor's own order. Reads files only when it is called. */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** What the search reads, so that a test can hold it. */
export interface Places {
  environment: Readonly<Record<string, string | undefined>>;
  workingFolder: string;
  homeFolder: string;
  /** Undefined when there is no such file, or it cannot be read. */
  readText(path: string): string | undefined;
}

export const realPlaces = (): Places => ({
  environment: process.env,
  workingFolder: process.cwd(),
  homeFolder: homedir(),
  readText: (path) => {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return undefined; // A place without a readable file gives nothing, and the next one is asked.
    }
  },
});

/** Order: `NULLSPACE_API_KEY`, `NULLSPACE_TOKEN`, both in `.env`, then `api_key` of the two settings files. */
export function findApiKey(places: Places): string | undefined {
  const dotenv = readDotenv(places);
  return firstOf([
    () => places.environment.NULLSPACE_API_KEY,
    () => places.environment.NULLSPACE_TOKEN,
    () => dotenv.get("NULLSPACE_API_KEY"),
    () => dotenv.get("NULLSPACE_TOKEN"),
    () => settingsFile(places, "xdg").api_key,
    () => settingsFile(places, "legacy").api_key,
  ]);
}

/** Order: `NULLSPACE_API_URL`, `NULLSPACE_BASE_URL`, both in `.env`, then `base_url` and `api_url` of the settings files. */
export function findBaseUrl(places: Places): string | undefined {
  const dotenv = readDotenv(places);
  return firstOf([
    () => places.environment.NULLSPACE_API_URL,
    () => places.environment.NULLSPACE_BASE_URL,
    () => dotenv.get("NULLSPACE_API_URL"),
    () => dotenv.get("NULLSPACE_BASE_URL"),
    () => settingsFile(places, "xdg").base_url,
    () => settingsFile(places, "legacy").base_url,
    () => settingsFile(places, "xdg").api_url,
    () => settingsFile(places, "legacy").api_url,
  ]);
}

/** The first value that is a text and not empty, trimmed. */
function firstOf(values: readonly (() => unknown)[]): string | undefined {
  for (const value of values) {
    const found = value();
    if (typeof found === "string" && found.trim() !== "") return found.trim();
  }
  return undefined;
}

/** `KEY=VALUE` lines; `#` begins a comment line; quotes around a value are no part of it. No `export`, no continuation. */
function readDotenv(places: Places): Map<string, string> {
  const text = places.readText(join(places.workingFolder, ".env")) ?? "";
  const values = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const at = line.indexOf("=");
    if (at < 1 || line.trimStart().startsWith("#")) continue;
    const value = line.slice(at + 1).trim();
    values.set(line.slice(0, at).trim(), /^(["']).*\1$/s.test(value) ? value.slice(1, -1) : value);
  }
  return values;
}

function settingsFile(places: Places, which: "xdg" | "legacy"): Record<string, unknown> {
  const { environment, homeFolder } = places;
  const folder =
    which === "legacy"
      ? join(homeFolder, ".nullspace")
      : join(environment.XDG_CONFIG_HOME?.trim() || join(homeFolder, ".config"), "nullspace");
  try {
    const parsed = JSON.parse(places.readText(join(folder, "config.json")) ?? "null") as unknown;
    return typeof parsed === "object" && parsed !== null ? (parsed as Record<string, unknown>) : {};
  } catch {
    return {}; // A file that is no JSON gives nothing, as in the vendor's own client.
  }
}
