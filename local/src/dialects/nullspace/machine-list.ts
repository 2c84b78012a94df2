/** GET /v1/machines: filters, pages and field masks. */
import { createHash } from "node:crypto";
import {
  machineFieldNames,
  machineStates,
  type MachineFieldName,
} from "@pulumi-machines/sdk/nullspace/rules";
import type { FastifyRequest } from "fastify";
import type { MachineFilter, Machines, PageResult } from "../../engine/control-plane";
import type { MachineRecord } from "../../engine/record";
import { violation } from "../../http-violations";
import { invalid } from "./errors";
import { machineState, phasesOf } from "./machine-state";
import { Query } from "./query";
import { machineInfo } from "./render";
import { canonical } from "./requests";

const parameters = ["state", "limit", "next_token", "template", "metadata", "fields"] as const;
/** The vendor's bound. */
const maxLimit = 100;
const defaultLimit = 50;
/** A bare list has no pages. */
const bareChunk = 1000;
const maxTokenLength = 500;
/** What a list shows unless it is asked for others: every state but destroyed. */
const liveStates = machineStates.filter((state) => state !== "destroyed");

type State = (typeof machineStates)[number];

interface Asked {
  states: readonly State[];
  filter: MachineFilter;
}

/** Without any query a bare array, else a page: as the vendor answers. */
export async function machineList(machines: Machines, request: FastifyRequest): Promise<unknown> {
  const query = new Query(request, parameters);
  const now = new Date();
  if (query.isEmpty) return (await everything(machines)).map((machine) => machineInfo(machine, now));

  const states = query.listOf("state", machineStates) ?? liveStates;
  const template = query.text("template");
  const metadata = query.object("metadata");
  const limit = query.whole("limit", { min: 1, max: maxLimit, absent: defaultLimit });
  const asked: Asked = {
    states,
    filter: {
      phases: phasesOf(states),
      ...(template === undefined ? {} : { template }),
      ...(metadata === undefined ? {} : { metadata }),
    },
  };
  const bound = fingerprint(asked);
  const cursor = cursorOf(query.text("next_token"), bound);
  if (cursor === null) query.refuse("next_token", "must be one of an earlier page of the same filters");
  query.done();
  const fields = fieldsOf(query.text("fields"));

  const { items, nextCursor } = await pageOf(machines, asked, { limit, cursor: cursor ?? undefined });
  return {
    items: items.map((machine) => masked(machineInfo(machine, now), fields)),
    has_next: nextCursor !== undefined,
    ...(nextCursor === undefined ? {} : { next_token: tokenOf(nextCursor, bound) }),
  };
}

/** GET /v1/machines/{id}: the object, or the fields that were asked for. */
export function machineView(machine: MachineRecord, request: FastifyRequest): unknown {
  const query = new Query(request, ["fields"] as const);
  query.done();
  return masked(machineInfo(machine, new Date()), fieldsOf(query.text("fields")));
}

async function everything(machines: Machines): Promise<MachineRecord[]> {
  const found: MachineRecord[] = [];
  let cursor: string | undefined;
  do {
    const page = await machines.list({ limit: bareChunk, ...(cursor === undefined ? {} : { cursor }) });
    found.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return found.filter((machine) => machineState(machine) !== "destroyed");
}

/**
 * A phase may stand for more than one state, so that a page of the engine can have machines that were not asked for:
 * it is filled up from the next, and a next page is promised only when there is something on it.
 */
async function pageOf(
  machines: Machines,
  { states, filter }: Asked,
  page: { limit: number; cursor: string | undefined },
): Promise<PageResult<MachineRecord>> {
  const fits = (machine: MachineRecord) => states.includes(machineState(machine));
  const next = async (limit: number, cursor: string | undefined) =>
    machines.list({ limit, ...(cursor === undefined ? {} : { cursor }) }, filter);
  const items: MachineRecord[] = [];
  let cursor = page.cursor;
  do {
    const found = await next(page.limit - items.length, cursor);
    items.push(...found.items.filter(fits));
    cursor = found.nextCursor;
  } while (cursor !== undefined && items.length < page.limit);

  for (let ahead = cursor; ahead !== undefined;) {
    const found = await next(maxLimit, ahead);
    if (found.items.some(fits)) return { items, ...(cursor === undefined ? {} : { nextCursor: cursor }) };
    ahead = found.nextCursor;
  }
  return { items };
}

// ---------------------------------------------------------------- tokens

const fingerprint = ({ states, filter }: Asked): string =>
  createHash("sha256")
    .update(JSON.stringify(canonical([states, filter.template ?? null, filter.metadata ?? null])))
    .digest("base64url")
    .slice(0, 16);

const tokenOf = (cursor: string, bound: string): string =>
  Buffer.from(JSON.stringify([bound, cursor])).toString("base64url");

/** The engine's cursor in a token; null for a token that is not one of these filters. */
function cursorOf(token: string | undefined, bound: string): string | undefined | null {
  if (token === undefined) return undefined;
  if (token.length > maxTokenLength) return null;
  try {
    const value: unknown = JSON.parse(Buffer.from(token, "base64url").toString());
    if (!Array.isArray(value) || value.length !== 2) return null;
    const [given, cursor] = value as unknown[];
    return given === bound && typeof cursor === "string" && tokenOf(cursor, bound) === token ? cursor : null;
  } catch {
    // Not JSON: no token of ours.
    return null;
  }
}

// ---------------------------------------------------------------- field masks

/** @throws WireError 400 invalid_fields */
function fieldsOf(text: string | undefined): ReadonlySet<string> | undefined {
  if (text === undefined) return undefined;
  const names = text.split(",").map((name) => name.trim());
  const unknown = names.filter((name) => !machineFieldNames.includes(name as MachineFieldName));
  if (unknown.length > 0) {
    const message = `unknown name; the names are ${machineFieldNames.join(", ")}`;
    throw invalid([violation("query.fields", message)], "invalid_fields");
  }
  return new Set(names);
}

const masked = (info: Record<string, unknown>, fields: ReadonlySet<string> | undefined) =>
  fields === undefined ? info : Object.fromEntries(Object.entries(info).filter(([name]) => fields.has(name)));
