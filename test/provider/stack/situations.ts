/** Situations of a machine "web", to be varied by the tests. */
import type { EventView } from "../../../provider/src/controlplane/event-port";
import type { MachineDetails } from "../../../provider/src/controlplane/port";
import type { Situation } from "../../../provider/src/stack/situation";
import type { Entry } from "../../../provider/src/stack/stack-state";
import type { StackUpdate } from "../../../provider/src/stack/stack-updates";

export const nowMs = Date.parse("2026-11-23T10:05:00Z");
export const id = "dm-1";
export const urn = "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/machines:Machine::web";

export const at = (clock: string): string => `2026-11-23T${clock}Z`;

export const machine = (given: Partial<MachineDetails> = {}): MachineDetails => ({
  id,
  phase: "running",
  desiredState: "running",
  reason: "ready",
  retryable: false,
  revision: "4",
  vcpu: 1,
  memoryMiB: 512,
  storageGiB: 4,
  autosleepSeconds: 900,
  lastTransitionAt: at("10:02:00"),
  metadata: {},
  tags: {},
  ...given,
});

export const entry = (outputs: Record<string, unknown> = {}, given: Partial<Entry> = {}): Entry => ({
  urn,
  name: "web",
  noun: "machine",
  id,
  outputs: {
    vcpu: 1,
    memoryMiB: 512,
    storageGiB: 4,
    desiredState: "running",
    autosleep: "15m",
    autosleepSeconds: 900,
    phase: "running",
    __backend: "local",
    __urn: urn,
    __stackIdentity: "the-stack",
    __generation: 0,
    __claim: "c",
    ...outputs,
  },
  initErrors: [],
  createdAt: at("09:00:10"),
  modifiedAt: at("09:00:10"),
  isRead: false,
  isReplaced: false,
  ...given,
});

let count = 0;
export const event = (
  operation: string,
  status: string,
  clock: string,
  given: Partial<EventView> = {},
): EventView => ({
  id: `event-${String((count += 1))}`,
  occurredAt: at(clock),
  operation,
  status,
  actorKind: "user",
  machineId: id,
  metadata: {},
  ...given,
});

/** An operation from its request to its end. */
export const done = (operation: string, clock: string, given: Partial<EventView> = {}): EventView[] => [
  event(operation, "requested", clock, given),
  event(operation, "succeeded", clock, given),
];

export const update = (from: string, to: string, command = "pulumi up"): StackUpdate => ({
  command,
  startedAt: at(from),
  endedAt: at(to),
  result: "succeeded",
  changes: { create: 1, same: 3 },
});

/** Made by the stack's `pulumi up` at 09:00. */
export const made = done("create", "09:00:05");
export const firstUp = update("09:00:00", "09:00:12");

export const situation = (given: Partial<Situation> = {}): Situation => ({
  name: "web",
  id,
  backend: "local",
  nowMs,
  sight: { kind: "there", machine: machine() },
  entry: entry(),
  events: made,
  updates: [firstUp],
  commands: [],
  deliveries: [],
  missing: [],
  ...given,
});

/** Without a member, which is not the same as an undefined one. */
export function without<K extends keyof Situation>(given: Situation, ...names: K[]): Situation {
  return Object.fromEntries(
    Object.entries(given).filter(([name]) => !(names as string[]).includes(name)),
  ) as unknown as Situation;
}
