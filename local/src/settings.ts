/** Everything that can be set about the embedded control plane, with its defaults, in one place. */
import { resolve } from "node:path";
import { type CapacityLimits, hostCapacity, unlimitedCapacity } from "./engine/capacity";
import type { Driver } from "./engine/driver";
import type { DriverChoice } from "./engine/drivers/select";
import { faultScript, type FaultScript, type FaultScriptInput } from "./faults";
import { checkOptions } from "./settings-check";
import { defaultStateDir } from "./state-folder";

export interface Range {
  min: number;
  max: number;
}

/** Sizes that a machine may ask for. The vendor publishes none; these are ours. */
export interface SizeLimits {
  /** vCPUs, always in quarters. */
  vcpu: Range;
  memoryMiB: Range;
  storageGiB: Range;
}

export const defaultLimits: SizeLimits = {
  vcpu: { min: 0.25, max: 16 },
  memoryMiB: { min: 256, max: 65_536 },
  storageGiB: { min: 1, max: 1024 },
};

/** What a machine gets where a create request leaves it open. */
export const createDefaults = {
  /** Sizes may be left open only by clients of the newest generation (`flatPhase`). */
  vcpu: 1,
  memoryMiB: 2048,
  storageGiB: 10,
  /** Five minutes, as the vendor documents. */
  autosleepSeconds: 300,
} as const;

export interface LocalOptions {
  /** Folder for everything that lasts; default `$XDG_STATE_HOME/pulumi-machines/local`. */
  stateDir?: string;
  /** Address to listen on; default 127.0.0.1. Any other than loopback opens the machines to the network. */
  host?: string;
  /** Default 4590; 0 picks a free port. */
  port?: number;
  /** Default: the key in the state folder, made at random on the first start. */
  apiKey?: string;
  /** With it, a request that names another organization is refused (403 AUTH_ORG_MISMATCH); default: any is accepted. */
  organizationId?: string;
  /** What runs machines: a name (default "auto": sandboxes where they work, else processes) or a driver. */
  driver?: DriverChoice | Driver;
  /** A PostgreSQL URL; default: a SQLite file in the state folder. */
  databaseUrl?: string;
  /** Failures to rehearse from the start; default none. */
  faults?: FaultScriptInput;
  /** Default: the host's own size, or no bounds with the "null" driver. */
  capacity?: Partial<CapacityLimits>;
  /** Default: vcpu 0.25 to 16, memory 256 to 65536 MiB, storage 1 to 1024 GiB. */
  limits?: Partial<SizeLimits>;
  /** After a wake, sleep is refused for so long, in milliseconds; default 0 (the vendor's is 300 s). */
  sleepHoldWindowMs?: number;
  /** Adds the flat `phase` of the newest API generation, and lets a create leave sizes open; default false. */
  flatPhase?: boolean;
  /** Milliseconds between the heartbeats of a status stream; default 15000. */
  heartbeatMs?: number;
  /** Bytes that may wait for a slow reader of a status stream before it is cut off; default 256 KiB. */
  streamBacklogBytes?: number;
  /** Takes webhooks to http:// URLs of this host's loopback, for tests; default false: https only. */
  allowHttpWebhooks?: boolean;
  /** How long the lifecycle log keeps an event, in milliseconds; default 90 days. */
  eventRetentionMs?: number;
  /** WebSockets that one key may hold open; default 20000. */
  maxSockets?: number;
  /** Milliseconds between the pings of a WebSocket, which is closed after two without a pong; default 15000. */
  pingMs?: number;
  /** Told what a person should know at the start, such as what the driver does not isolate; default: nobody. */
  warn?: (line: string) => void;
}

/** What the HTTP side needs, complete. */
export interface HttpSettings {
  stateDir: string;
  host: string;
  port: number;
  apiKey: string;
  organizationId: string | undefined;
  limits: SizeLimits;
  flatPhase: boolean;
  heartbeatMs: number;
  streamBacklogBytes: number;
  maxSockets: number;
  pingMs: number;
}

export interface Settings extends Omit<HttpSettings, "apiKey"> {
  apiKey: string | undefined;
  driver: DriverChoice | Driver;
  databaseUrl: string | undefined;
  faults: FaultScript;
  capacity: CapacityLimits;
  sleepHoldWindowMs: number;
  allowHttpWebhooks: boolean;
  eventRetentionMs: number;
  warn: (line: string) => void;
}

export const defaultPort = 4590;

/** Fills in the defaults. @throws SettingsError */
export function complete(options: LocalOptions): Settings {
  checkOptions(options);
  const driver = options.driver ?? "auto";
  const runsNothing = (typeof driver === "string" ? driver : driver.name) === "null";
  return {
    stateDir: resolve(options.stateDir ?? defaultStateDir(process.env)),
    host: options.host ?? "127.0.0.1",
    port: options.port ?? defaultPort,
    apiKey: options.apiKey,
    organizationId: options.organizationId,
    driver,
    databaseUrl: options.databaseUrl,
    faults: faultScript.parse(options.faults ?? { rules: [] }),
    capacity: capacityLimits(runsNothing ? unlimitedCapacity : hostCapacity(), options.capacity ?? {}),
    limits: { ...defaultLimits, ...options.limits },
    sleepHoldWindowMs: options.sleepHoldWindowMs ?? 0,
    flatPhase: options.flatPhase ?? false,
    heartbeatMs: options.heartbeatMs ?? 15_000,
    streamBacklogBytes: options.streamBacklogBytes ?? 262_144,
    allowHttpWebhooks: options.allowHttpWebhooks ?? false,
    eventRetentionMs: options.eventRetentionMs ?? 90 * 86_400_000,
    maxSockets: options.maxSockets ?? 20_000,
    pingMs: options.pingMs ?? 15_000,
    warn: options.warn ?? (() => undefined),
  };
}

/** A capacity that somebody states holds for one machine, too. */
const capacityLimits = (host: CapacityLimits, given: Partial<CapacityLimits>): CapacityLimits => ({
  ...host,
  ...(given.vcpu === undefined ? {} : { machineVcpu: given.vcpu }),
  ...given,
});

/** True for addresses that only this host reaches. */
export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
