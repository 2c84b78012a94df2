export { startLocal, type Local } from "./start-local";
export type { LocalOptions, Range, SizeLimits } from "./settings";
export { createDefaults, defaultLimits, defaultPort } from "./settings";
export { SettingsError } from "./settings-check";
export { StateHeldError } from "./state-lock";
export { defaultStateDir, endpointFile, readEndpoint, statePaths, type Endpoint } from "./state-folder";
export { Faults, faultScript, type FaultScript } from "./faults";
export type { ControlPlane } from "./engine/control-plane";
export { type Driver, DriverError } from "./engine/driver";
