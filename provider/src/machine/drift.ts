/** What a refresh says of a machine that is not what the stack left: in words, for what it is. */
import type { Context } from "../context";
import type { EventView } from "../controlplane/event-port";
import type { MachineView } from "../controlplane/port";
import { wordsOf } from "../converge";
import { sameValue } from "./changes";

type Properties = Record<string, unknown>;

const sizes = { vcpu: "vCPUs", memoryMiB: "MiB of memory", storageGiB: "GiB of disk" } as const;

/** The lines of a refresh; none where nothing drifted. Pure. @param last The newest event of the machine, where known. */
export function driftLines(
  name: string,
  view: MachineView,
  before: Properties,
  after: Properties,
  last?: EventView,
): string[] {
  const machine = `machine "${name}" (${view.id})`;
  const lines: string[] = [];
  if (view.phase === "failed") {
    const again = view.retryable
      ? "the service calls it retryable"
      : "the service says that trying again will not help";
    lines.push(`${machine} is ${wordsOf(view)}; ${again}. "pulumi up" tries to repair it`);
  }
  const resized = Object.entries(sizes)
    .filter(([size]) => before[size] !== undefined && after[size] !== before[size])
    .map(([size, unit]) => `${String(after[size])} ${unit} and not ${String(before[size])}`);
  if (resized.length > 0)
    lines.push(`${machine} was resized outside of Pulumi: it has ${resized.join(", ")}`);
  if (before.autosleep !== undefined && after.autosleep !== before.autosleep) {
    lines.push(
      `${machine} was given the autosleep ${textOf(after.autosleep)} outside of Pulumi, instead of ${textOf(before.autosleep)}`,
    );
  }
  if (!sameValue(before.lifetime, after.lifetime)) {
    lines.push(`${machine} was given another lifetime outside of Pulumi: ${JSON.stringify(after.lifetime)}`);
  }
  if (before.desiredState !== undefined && after.desiredState !== before.desiredState) {
    const what =
      after.desiredState === "running"
        ? "was woken outside of Pulumi, by a call or by its use (a command, a terminal)"
        : "was put to sleep outside of Pulumi";
    lines.push(`${machine} ${what}${saidOf(last)}`);
  }
  return lines;
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : "none");

function saidOf(event: EventView | undefined): string {
  if (!event) return "";
  const reason = event.reason ? `: ${event.reason}` : "";
  return ` (${event.operation} by ${event.actorKind} at ${event.occurredAt}${reason})`;
}

/** Says on the terminal what a refresh has found. */
export async function sayDrift(
  context: Context,
  view: MachineView,
  before: Properties,
  after: Properties,
): Promise<void> {
  if (driftLines(context.name, view, before, after).length === 0) return;
  for (const line of driftLines(context.name, view, before, after, await newestEvent(context, view.id))) {
    context.warn(line);
  }
}

/** Only to say more: a history that cannot be read says nothing. */
async function newestEvent(
  { controlPlane, signal }: Context,
  machineId: string,
): Promise<EventView | undefined> {
  try {
    const filter = { machineId, order: "desc", limit: 1 } as const;
    for await (const event of controlPlane.events?.list(filter, { signal }) ?? []) return event;
  } catch {
    return undefined;
  }
  return undefined;
}
