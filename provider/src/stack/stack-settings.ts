/**
 * Which service a stack uses, by the same settings as its deploys: options of the command line first, then the stack's
 * configuration, then the environment. Of the configuration's secrets only our own are read, and none is kept or shown.
 */
import { z } from "zod";
import type { ConfigReader, Settings } from "../settings";
import { readSettings, SettingsError } from "../settings";
import type { PulumiCli } from "./pulumi-cli";

export interface Overrides {
  backend?: string;
  endpoint?: string;
}

const configSchema = z.record(
  z.string(),
  z.looseObject({ value: z.unknown().optional(), secret: z.boolean().optional() }),
);
const keys = ["backend", "endpoint", "apiKey", "organizationId"].map((name) => `machines:${name}`);

/** @throws SettingsError · PulumiError, for one when the passphrase is wrong */
export async function configOf(
  cli: Pick<PulumiCli, "config" | "secret">,
  { backend, endpoint }: Overrides,
): Promise<ConfigReader> {
  const known = readConfig(await cli.config());
  const values = new Map<string, string>();
  for (const key of keys) {
    const entry = known[key];
    if (entry === undefined) continue;
    if (entry.secret === true) values.set(key, await cli.secret(key));
    else if (typeof entry.value === "string") values.set(key, entry.value);
  }
  if (backend !== undefined) values.set("machines:backend", backend);
  if (endpoint !== undefined) values.set("machines:endpoint", endpoint);
  return (key) => values.get(key);
}

function readConfig(text: string): z.infer<typeof configSchema> {
  try {
    return configSchema.parse(JSON.parse(text.trim() || "{}"));
  } catch (error) {
    // Without it a command would look at another service than the deploys do. The text may hold values: it is not shown.
    throw new SettingsError('"pulumi config --json" printed no configuration that this version can read', {
      cause: error,
    });
  }
}

export interface StackSettings {
  settings: Settings;
  /** Where the key comes from, in words. */
  keyOrigin: string;
  /** Never to be shown. */
  secrets: string[];
}

/** @throws SettingsError */
export function settingsOf(config: ConfigReader, env: NodeJS.ProcessEnv): StackSettings {
  const settings = readSettings(config, env);
  const key = settings.apiKey ?? settings.xApiKey;
  return { settings, keyOrigin: originOf(key, config, env), secrets: key === undefined ? [] : [key] };
}

/** By its value: which of the many variables it is has one home, in settings.ts. */
function originOf(key: string | undefined, config: ConfigReader, env: NodeJS.ProcessEnv): string {
  if (key === undefined) return "the endpoint file of the embedded control plane";
  if (config("machines:apiKey") === key)
    return 'machines:apiKey of the stack ("pulumi config set --secret machines:apiKey KEY")';
  const named = Object.keys(env).filter((name) => env[name] === key && /(KEY|TOKEN)$/.test(name));
  return `the variable ${named.sort()[0] ?? "of the environment"}`;
}
