/** The lifecycle log as history: of the account, of a machine, of a snapshot. */
import {
  lifecycleAudiences,
  lifecycleOperations,
  lifecycleStatuses,
} from "@pulumi-machines/sdk/nullspace/rules";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { type EventFilter, Refusal } from "../../engine/control-plane";
import type { NullspaceDeps } from "./deps";
import { engineMachineId, engineSnapshotId } from "./ids";
import { Query } from "./query";
import { lifecycleEvent } from "./render-event";
import { machineOf, snapshotOf } from "./requests";

const maxLimit = 100;
const defaultLimit = 50;
const maxOffset = 1_000_000_000;

const shared = ["offset", "limit", "order", "operation", "status", "from", "to"] as const;
const accountOnly = [
  "audience",
  "machine_id",
  "snapshot_id",
  "source_machine_id",
  "target_machine_id",
] as const;
type Name = (typeof shared)[number] | (typeof accountOnly)[number];

interface Asked {
  /** Undefined when the filters name something that cannot exist: no event fits. */
  filter: EventFilter | undefined;
  page: { offset: number; limit: number; order: "asc" | "desc" };
}

export function lifecycleRoutes(app: FastifyInstance, { controlPlane }: NullspaceDeps): void {
  const { lifecycle, machines, snapshots } = controlPlane;

  const answer = async ({ filter, page }: Asked) => {
    const found = filter ? await lifecycle.page(filter, page) : { events: [], hasMore: false };
    return {
      events: found.events.map(lifecycleEvent),
      offset: page.offset,
      limit: page.limit,
      has_more: found.hasMore,
    };
  };

  app.get("/v1/lifecycle/events", async (request) => answer(read(request, [...shared, ...accountOnly], {})));

  // History outlives what it is about: only where there is none, a thing that never was is told from one without events.
  app.get("/v1/machines/:id/lifecycle", async (request) => {
    const machineId = machineOf(request);
    const found = await answer(read(request, shared, { machineId }));
    if (found.events.length === 0) await exists(() => machines.get(machineId), lifecycle, { machineId });
    return found;
  });

  app.get("/v1/snapshots/:id/lifecycle", async (request) => {
    const snapshotId = snapshotOf(request);
    const found = await answer(read(request, shared, { snapshotId }));
    if (found.events.length === 0) await exists(() => snapshots.get(snapshotId), lifecycle, { snapshotId });
    return found;
  });
}

/** @throws Refusal of `get`, for something that has neither a record nor a single event */
async function exists(
  get: () => Promise<unknown>,
  lifecycle: NullspaceDeps["controlPlane"]["lifecycle"],
  filter: EventFilter,
): Promise<void> {
  try {
    await get();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const any = await lifecycle.page(filter, { offset: 0, limit: 1, order: "desc" });
    if (any.events.length === 0) throw error;
  }
}

/** @throws WireError 400 with everything that is wrong with the query */
function read(request: FastifyRequest, names: readonly Name[], subject: EventFilter): Asked {
  const query = new Query<Name>(request, names);
  const operation = query.oneOf("operation", lifecycleOperations);
  const status = query.oneOf("status", lifecycleStatuses);
  if (query.oneOf("audience", lifecycleAudiences) === "internal") {
    query.refuse("audience", "internal events are not served here");
  }
  const from = instant(query, "from");
  const to = instant(query, "to");
  const page: Asked["page"] = {
    offset: query.whole("offset", { min: 0, max: maxOffset, absent: 0 }),
    limit: query.whole("limit", { min: 1, max: maxLimit, absent: defaultLimit }),
    order: query.oneOf("order", ["asc", "desc"]) ?? "desc",
  };
  const ids = subjects(query);
  query.done();
  const filter = ids && {
    ...subject,
    ...ids,
    ...(operation === undefined ? {} : { operation }),
    ...(status === undefined ? {} : { status }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  };
  return { filter, page };
}

const subjectFilters = [
  ["machine_id", "primaryMachineId", engineMachineId],
  ["snapshot_id", "snapshotId", engineSnapshotId],
  ["source_machine_id", "sourceMachineId", engineMachineId],
  ["target_machine_id", "targetMachineId", engineMachineId],
] as const;

/** Undefined when one of them is a text that nothing is called. */
function subjects(query: Query<Name>): EventFilter | undefined {
  const filter: EventFilter = {};
  for (const [parameter, member, engineId] of subjectFilters) {
    const text = query.text(parameter);
    if (text === undefined) continue;
    const id = engineId(text);
    if (id === undefined) return undefined;
    filter[member] = id;
  }
  return filter;
}

const rfc3339 = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;

/**
 * Events have whole milliseconds: a finer bound is rounded up, which is right for an inclusive `from` and an exclusive `to`.
 */
function instant(query: Query<Name>, name: "from" | "to"): string | undefined {
  const text = query.text(name);
  if (text === undefined) return undefined;
  const [, date, time, fraction = ".0", zone = ""] = rfc3339.exec(text) ?? [];
  const seconds = Date.parse(`${date ?? ""}T${time ?? ""}${zone.toUpperCase()}`);
  if (Number.isNaN(seconds)) {
    query.refuse(name, "must be an RFC 3339 time such as 2026-01-31T12:00:00Z");
    return undefined;
  }
  const nanos = Number(fraction.slice(1).padEnd(9, "0"));
  return new Date(seconds + Math.ceil(nanos / 1_000_000)).toISOString();
}
