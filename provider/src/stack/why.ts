/** Gathers all that is known of one machine. What cannot be read is named, and the rest is still told. */
import type { CommandView } from "../controlplane/command-port";
import { MachineGoneError, type ControlPlane } from "../controlplane/port";
import { messageOf } from "../failure-report";
import { findTarget, type Target } from "./find-target";
import { orMissing, type OpenedStack } from "./open-stack";
import type { PulumiCli } from "./pulumi-cli";
import type { Delivery, Sight, Situation } from "./situation";
import { readUpdates } from "./stack-updates";

/** The newest of each kind. */
const mostUpdates = 100;
const mostEvents = 500;
const mostCommands = 200;
const mostDeliveries = 300;

/** @throws NoTargetError */
export async function situationOf(
  asked: string,
  opened: Pick<OpenedStack, "state" | "plane" | "journal"> & { cli: Pick<PulumiCli, "history"> },
  { signal, nowMs }: { signal: AbortSignal; nowMs: number },
): Promise<Situation> {
  const { plane, cli } = opened;
  const target = await findTarget(asked, opened, signal);
  const missing: string[] = [];
  const { id } = target;
  const made = target.entry?.outputs.__backend;
  const isElsewhere = typeof made === "string" && made !== plane.backend;
  const [sight, events, commands, updates] = await Promise.all([
    isElsewhere ? ({ kind: "none" } as const) : sightOf(plane, target, signal),
    id === undefined || isElsewhere
      ? undefined
      : orMissing("the lifecycle events", missing, () => eventsOf(plane, id, signal)),
    id === undefined || isElsewhere
      ? undefined
      : orMissing("the commands", missing, () => commandsOf(plane, id, signal)),
    orMissing("the stack's history", missing, async () => readUpdates(await cli.history(mostUpdates))),
  ]);
  const deliveries =
    events === undefined
      ? undefined
      : await orMissing("the webhook deliveries", missing, () =>
          deliveriesOf(plane, new Set(events.map((event) => event.id)), signal),
        );
  return {
    ...target,
    backend: plane.backend,
    nowMs,
    sight,
    commands: commands ?? [],
    deliveries: deliveries ?? [],
    missing,
    ...(plane.events === undefined ? {} : { events: events ?? [] }),
    ...(updates === undefined ? {} : { updates }),
  };
}

async function sightOf(plane: ControlPlane, { id }: Target, signal: AbortSignal): Promise<Sight> {
  if (id === undefined) return { kind: "none" };
  try {
    const machine = await plane.describeMachine(id, { signal });
    return machine.phase === "destroyed" ? { kind: "gone" } : { kind: "there", machine };
  } catch (error) {
    return error instanceof MachineGoneError ? { kind: "gone" } : { kind: "unasked", why: messageOf(error) };
  }
}

async function eventsOf(plane: ControlPlane, machineId: string, signal: AbortSignal) {
  try {
    const filter = { machineId, order: "desc", limit: mostEvents } as const;
    return (await taken(plane.events?.list(filter, { signal }) ?? [], mostEvents)).reverse();
  } catch (error) {
    if (error instanceof MachineGoneError) return [];
    throw error;
  }
}

async function commandsOf(plane: ControlPlane, id: string, signal: AbortSignal): Promise<CommandView[]> {
  try {
    return await taken(plane.commands.list?.(id, { signal }) ?? [], mostCommands);
  } catch (error) {
    if (error instanceof MachineGoneError) return [];
    throw error;
  }
}

async function deliveriesOf(
  plane: ControlPlane,
  eventIds: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<Delivery[]> {
  const { webhooks } = plane;
  if (!webhooks || eventIds.size === 0) return [];
  const found: Delivery[] = [];
  for await (const { id, url } of webhooks.list({ signal })) {
    for (const delivery of await taken(webhooks.deliveries(id, { signal }), mostDeliveries)) {
      if (eventIds.has(delivery.eventId)) found.push({ ...delivery, webhook: { url } });
    }
  }
  return found;
}

async function taken<T>(items: AsyncIterable<T> | Iterable<T>, most: number): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) {
    if (list.length >= most) break;
    list.push(item);
  }
  return list;
}
