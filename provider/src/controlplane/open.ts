/** Opens the control plane that the settings name. */
import type { Settings } from "../settings";
import { DedalusControlPlane } from "./dedalus";
import { readEndpointFile, startHint } from "./endpoint-file";
import type { ControlPlane } from "./port";

/** @throws NoLocalControlPlaneError when the backend is `local`, no endpoint is set and none runs. */
export function openControlPlane(settings: Settings, env: NodeJS.ProcessEnv): ControlPlane {
  const { backend, endpoint, apiKey, xApiKey, organizationId } = settings;
  const organization = organizationId === undefined ? {} : { organizationId };
  if (backend === "local") {
    const local = endpoint !== undefined && apiKey !== undefined ? undefined : readEndpointFile(env);
    return new DedalusControlPlane({
      backend,
      baseUrl: endpoint ?? local?.dedalus ?? "",
      apiKey: apiKey ?? local?.apiKey ?? "",
      // The client would take it from the variables of the vendor's own tools, which are not meant for this service.
      organizationId: organizationId ?? "",
      unreachableHint: startHint,
    });
  }
  return new DedalusControlPlane({
    backend: "dedalus",
    ...(endpoint === undefined ? {} : { baseUrl: endpoint }),
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(xApiKey === undefined ? {} : { xApiKey }),
    ...organization,
  });
}
