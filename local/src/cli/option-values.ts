/** What the texts of the command line mean. */
import { DurationError, parseDuration } from "@pulumi-machines/sdk/duration";
import { InvalidArgumentError } from "commander";
import type { CapacityLimits } from "../engine/capacity";
import type { DriverChoice } from "../engine/drivers/select";
import type { FaultScript } from "../faults";
import type { LocalOptions, SizeLimits } from "../settings";

export const driverNames: readonly DriverChoice[] = ["auto", "sandbox", "process", "null"];

export interface StartFlags {
  port: number;
  host: string;
  state: string;
  apiKey?: string;
  organization?: string;
  driver: DriverChoice;
  faults?: FaultScript;
  flatPhase?: boolean;
  capacity?: Partial<CapacityLimits>;
  placementTimeout?: number;
  sleepHoldWindow?: number;
  limits?: Partial<SizeLimits>;
  allowHttpWebhooks?: boolean;
  eventRetention?: number;
  maxSockets?: number;
  detach?: boolean;
  json?: boolean;
}

/** Plain data, so that it can be handed to a process in the background. */
export type DetachableOptions = Omit<LocalOptions, "warn" | "driver"> & { driver: DriverChoice };

export function toOptions(flags: StartFlags, env: NodeJS.ProcessEnv): DetachableOptions {
  const capacity = {
    ...flags.capacity,
    ...(flags.placementTimeout === undefined ? {} : { placementTimeoutMs: flags.placementTimeout }),
  };
  return {
    ...{ port: flags.port, host: flags.host, stateDir: flags.state, driver: flags.driver, capacity },
    ...(flags.apiKey ? { apiKey: flags.apiKey } : {}),
    ...(flags.organization === undefined ? {} : { organizationId: flags.organization }),
    ...(flags.faults === undefined ? {} : { faults: flags.faults }),
    ...(flags.flatPhase === undefined ? {} : { flatPhase: flags.flatPhase }),
    ...(flags.sleepHoldWindow === undefined ? {} : { sleepHoldWindowMs: flags.sleepHoldWindow }),
    ...(flags.limits === undefined ? {} : { limits: flags.limits }),
    ...(flags.allowHttpWebhooks === undefined ? {} : { allowHttpWebhooks: flags.allowHttpWebhooks }),
    ...(flags.eventRetention === undefined ? {} : { eventRetentionMs: flags.eventRetention }),
    ...(flags.maxSockets === undefined ? {} : { maxSockets: flags.maxSockets }),
    ...(env["DATABASE_URL"] ? { databaseUrl: env["DATABASE_URL"] } : {}),
  };
}

export function port(text: string): number {
  const number = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  if (number < 0 || number > 65_535) throw new InvalidArgumentError("A port is a number from 0 to 65535.");
  return number;
}

export function count(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("This is a whole number, 0 or more.");
  return Number(text);
}

export function milliseconds(text: string): number {
  try {
    return parseDuration(text) * 1000;
  } catch (error) {
    if (error instanceof DurationError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}

/** `vcpu=8,memory=16384` */
export function capacity(text: string): Partial<CapacityLimits> {
  const names = { vcpu: "vcpu", memory: "memoryMiB" } as const;
  return assignments(text, names, (value) => {
    const number = Number(value);
    if (!(number > 0)) throw new InvalidArgumentError(`"${value}" is not a size above 0.`);
    return number;
  });
}

/** `vcpu=0.25..4,memory=256..8192,storage=1..50` */
export function limits(text: string): Partial<SizeLimits> {
  const names = { vcpu: "vcpu", memory: "memoryMiB", storage: "storageGiB" } as const;
  return assignments(text, names, (value) => {
    const [, least, most] = /^([\d.]+?)\.\.([\d.]+)$/.exec(value) ?? [];
    const range = { min: Number(least), max: Number(most) };
    if (!(range.min > 0 && range.max >= range.min)) {
      throw new InvalidArgumentError(`"${value}" is not a range such as 1..16.`);
    }
    return range;
  });
}

function assignments<Name extends string, Value>(
  text: string,
  names: Readonly<Record<string, Name>>,
  read: (value: string) => Value,
): Partial<Record<Name, Value>> {
  const found: Partial<Record<Name, Value>> = {};
  for (const part of text.split(",")) {
    const [word = "", value = ""] = part.split("=", 2);
    const name = names[word.trim()];
    if (name === undefined) {
      throw new InvalidArgumentError(`"${part}" does not name one of ${Object.keys(names).join(", ")}.`);
    }
    found[name] = read(value.trim());
  }
  return found;
}
