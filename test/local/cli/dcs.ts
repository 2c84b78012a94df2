/** A few calls of the DCS API over plain HTTP, so that no client's cleverness hides what the service does. */
import { randomUUID } from "node:crypto";
import { createParser } from "eventsource-parser";
import type { Ready } from "./cli-process";

export interface WireMachine {
  machine_id: string;
  desired_state: string;
  status: { phase: string; revision: string; reason: string; last_error?: string };
}

type At = Pick<Ready, "dedalus" | "apiKey">;

export async function call(
  at: At,
  method: string,
  path: string,
  body?: unknown,
  key: string = randomUUID(),
): Promise<WireMachine> {
  const answer = await fetch(`${at.dedalus}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${at.apiKey}`,
      ...(method === "GET" ? {} : { "idempotency-key": key }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${String(answer.status)} ${await answer.text()}`);
  return (await answer.json()) as WireMachine;
}

export const createMachine = (at: At, key?: string): Promise<WireMachine> =>
  call(at, "POST", "/v1/machines", { vcpu: 1, memory_mib: 512, storage_gib: 1 }, key);

export interface StatusEvent {
  name: string;
  id: string;
  machine: WireMachine;
}

interface Reading {
  after?: string | undefined;
  enough?: (event: StatusEvent) => boolean;
}

/** Events of the status stream, until `enough` says so, the service closes it, or the connection breaks. */
export const readStatus = async (at: At, machineId: string, how: Reading = {}): Promise<StatusEvent[]> =>
  (await openStatus(at, machineId, how)).events;

/** Resolves when the service has begun to answer; `events` when the stream has ended. */
export async function openStatus(
  at: At,
  machineId: string,
  { after, enough = () => false }: Reading = {},
): Promise<{ events: Promise<StatusEvent[]> }> {
  const stop = new AbortController();
  const answer = await fetch(`${at.dedalus}/v1/machines/${machineId}/status/stream`, {
    headers: {
      authorization: `Bearer ${at.apiKey}`,
      accept: "text/event-stream",
      ...(after === undefined ? {} : { "last-event-id": after }),
    },
    signal: stop.signal,
  });
  const { body } = answer;
  if (!answer.ok || !body) throw new Error(`status stream: ${String(answer.status)}`);
  const events: StatusEvent[] = [];
  const parser = createParser({
    onEvent: ({ event = "", id = "", data }) => {
      const told = { name: event, id, machine: JSON.parse(data) as WireMachine };
      events.push(told);
      if (enough(told)) stop.abort();
    },
  });
  const read = async () => {
    try {
      for await (const text of body.pipeThrough(new TextDecoderStream())) parser.feed(text);
    } catch (error) {
      // A broken connection is what a crash looks like from here; what was told before it counts.
      if (!stop.signal.aborted && (error as Error).message !== "terminated") throw error;
    }
    return events;
  };
  return { events: read() };
}

/** Waits until the machine is in a phase; the stream ends at the latest when it rests. */
export async function reach(at: At, machineId: string, phase: string): Promise<StatusEvent[]> {
  const events = await readStatus(at, machineId, { enough: ({ machine }) => machine.status.phase === phase });
  if (events.at(-1)?.machine.status.phase !== phase) {
    throw new Error(
      `${machineId} never was ${phase}: ${events.map(({ machine }) => machine.status.phase).join()}`,
    );
  }
  return events;
}
