/** Opens the control plane that the settings name. */
import { UsageError } from "@pulumi-machines/sdk";
import { SettingsError, type Settings } from "../settings";
import { DedalusControlPlane } from "./dedalus";
import { readEndpointFile, startHint } from "./endpoint-file";
import { LocalControlPlane } from "./local";
import { NullspaceControlPlane } from "./nullspace";
import type { ControlPlane } from "./port";

/**
 * @throws NoLocalControlPlaneError when the backend is `local`, no endpoint is set and none runs
 * @throws SettingsError for settings that cannot be used
 */
export function openControlPlane(settings: Settings, env: NodeJS.ProcessEnv): ControlPlane {
  try {
    return open(settings, env);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new SettingsError(`backend "${settings.backend}": ${wordsOf(error)}`, { cause: error });
  }
}

function open(settings: Settings, env: NodeJS.ProcessEnv): ControlPlane {
  const { backend, endpoint, apiKey, xApiKey, organizationId } = settings;
  if (backend === "local") return openLocal(settings, env);
  const given = {
    ...(endpoint === undefined ? {} : { baseUrl: endpoint }),
    ...(apiKey === undefined ? {} : { apiKey }),
  };
  if (backend === "nullspace") return new NullspaceControlPlane({ backend, ...given });
  return new DedalusControlPlane({
    backend,
    ...given,
    ...(xApiKey === undefined ? {} : { xApiKey }),
    ...(organizationId === undefined ? {} : { organizationId }),
  });
}

function openLocal({ endpoint, apiKey, organizationId }: Settings, env: NodeJS.ProcessEnv): ControlPlane {
  const found = endpoint !== undefined && apiKey !== undefined ? undefined : readEndpointFile(env);
  return new LocalControlPlane({
    url: rootOf(endpoint ?? found?.url ?? ""),
    apiKey: apiKey ?? found?.apiKey ?? "",
    ...(organizationId === undefined ? {} : { organizationId }),
    unreachableHint: startHint,
  });
}

/** The control plane's own address, from that or from one of its dialects'. */
const rootOf = (endpoint: string): string =>
  endpoint.replace(/\/+$/, "").replace(/\/(dedalus|nullspace)$/, "");

/** In the terms of a project: the client names its own options. */
function wordsOf({ code, message }: UsageError): string {
  if (code === "missing_api_key") {
    return `no API key: run "pulumi config set --secret machines:apiKey KEY", or set MACHINES_API_KEY or NULLSPACE_API_KEY`;
  }
  if (code === "invalid_base_url") {
    return `${message} Set it with "pulumi config set machines:endpoint URL", or MACHINES_ENDPOINT`;
  }
  return `${message} Set the key with "pulumi config set --secret machines:apiKey KEY", or MACHINES_API_KEY`;
}
