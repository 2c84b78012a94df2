/**
 * Which service, and with which credentials: stack configuration first, then the environment. Read when an operation
 * runs; nothing of it is kept in the state of a resource.
 */
import { backends, type Backend } from "./controlplane/capabilities";

export interface Settings {
  backend: Backend;
  /** Base URL of the API; for `local`, of the embedded control plane or of its Dedalus dialect. */
  endpoint?: string;
  apiKey?: string;
  xApiKey?: string;
  organizationId?: string;
}

/** A setting cannot be used; says which, and how to set it. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
}

/** Reads a key of the stack's configuration, such as "machines:backend". */
export type ConfigReader = (key: string) => string | undefined;

/** @throws SettingsError */
export function readSettings(config: ConfigReader, env: NodeJS.ProcessEnv): Settings {
  const read = (key: string, ...variables: string[]): string | undefined =>
    [config(`machines:${key}`), ...variables.map((name) => env[name])].find(
      (value) => value !== undefined && value !== "",
    );
  const backend = read("backend", "MACHINES_BACKEND") ?? "local";
  if (!isBackend(backend)) {
    throw new SettingsError(
      `"${backend}" is no backend (machines:backend or MACHINES_BACKEND); use one of ${backends.join(", ")}`,
    );
  }
  const dedalus = backend === "dedalus";
  const nullspace = backend === "nullspace";
  const settings: Settings = { backend };
  const endpoint = read(
    "endpoint",
    "MACHINES_ENDPOINT",
    ...(dedalus ? ["DEDALUS_BASE_URL"] : []),
    ...(nullspace ? ["NULLSPACE_API_URL", "NULLSPACE_BASE_URL"] : []),
  );
  const apiKey = read(
    "apiKey",
    "MACHINES_API_KEY",
    ...(dedalus ? ["DEDALUS_API_KEY"] : []),
    ...(nullspace ? ["NULLSPACE_API_KEY", "NULLSPACE_TOKEN"] : []),
  );
  const organizationId = read(
    "organizationId",
    "MACHINES_ORGANIZATION_ID",
    ...(dedalus ? ["DEDALUS_ORG_ID"] : []),
  );
  if (endpoint !== undefined) settings.endpoint = endpoint;
  if (apiKey !== undefined) settings.apiKey = apiKey;
  else if (dedalus && env.DEDALUS_X_API_KEY) settings.xApiKey = env.DEDALUS_X_API_KEY;
  if (organizationId !== undefined) settings.organizationId = organizationId;
  if (dedalus && apiKey === undefined && settings.xApiKey === undefined) {
    throw new SettingsError(
      `no API key for the backend "dedalus": run "pulumi config set --secret machines:apiKey KEY", or set MACHINES_API_KEY ` +
        `or DEDALUS_API_KEY`,
    );
  }
  return settings;
}

/** The backend alone, for a check; undefined where the setting is none, which the operation itself will say. */
export function backendIn(config: ConfigReader, env: NodeJS.ProcessEnv): Backend | undefined {
  const backend = config("machines:backend") || env.MACHINES_BACKEND || "local";
  return isBackend(backend) ? backend : undefined;
}

const isBackend = (text: string): text is Backend => (backends as readonly string[]).includes(text);
