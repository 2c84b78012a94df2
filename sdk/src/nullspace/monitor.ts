/** `client.monitor`: all machines and what they use, as it changes, over dropped connections. */
import { z } from "zod";
import type { Socket } from "../socket";
import { given } from "./calls";
import { errorClassOf } from "./error-classes";
import { readJson, unreadable } from "./exec-frames";
import { processesAnswer, type ProcessInfo } from "./exec-rest";
import { measurementAnswer, type MachineMetrics } from "./machine-answers";
import type { SocketContext } from "./open-socket";
import { readFrames } from "./read-frames";
import { reconnecting, type Connection } from "./reconnect";
import { machineFieldsAnswer, type MachineFields } from "./wire";

export interface MonitorParams {
  /** Between two measurements of each machine; default 5000, the service's. */
  intervalMs?: number | undefined;
  /** Tell of the commands of each machine, too; default false. */
  includeProcesses?: boolean | undefined;
  /** Ends the stream; the loop then throws its reason. */
  signal?: AbortSignal | undefined;
}

export type MonitorItem =
  /** Comes first, and again after a connection was lost: forget what was known before. Others may follow one by one. */
  | { kind: "machines"; machines: MachineFields[] }
  /** A machine is new, or has changed. */
  | { kind: "machine"; machineId: string; machine: MachineFields }
  | { kind: "removed"; machineId: string }
  | { kind: "metrics"; machineId: string; metrics: MachineMetrics }
  | { kind: "processes"; machineId: string; processes: ProcessInfo[] }
  /** A machine that could not be measured, for example. The stream goes on. */
  | { kind: "error"; message: string };

const what = "monitor all machines";
const subscription = "monitor";

const frameItem = z.discriminatedUnion("type", [
  z
    .looseObject({ type: z.literal("monitor_snapshot"), machines: z.array(machineFieldsAnswer) })
    .transform(({ machines }): MonitorItem => ({ kind: "machines", machines })),
  z
    .looseObject({
      type: z.literal("monitor_update"),
      machine_id: z.string(),
      machine: machineFieldsAnswer.nullish(),
      removed: z.boolean().nullish(),
    })
    .transform(({ machine_id: machineId, machine, removed }): MonitorItem =>
      machine && !removed ? { kind: "machine", machineId, machine } : { kind: "removed", machineId },
    ),
  z
    .looseObject({ type: z.literal("monitor_metrics"), machine_id: z.string(), metrics: measurementAnswer })
    .transform(({ machine_id: machineId, metrics }): MonitorItem => ({
      kind: "metrics",
      machineId,
      metrics,
    })),
  z
    .looseObject({
      type: z.literal("monitor_processes"),
      machine_id: z.string(),
      processes: processesAnswer,
    })
    .transform(({ machine_id: machineId, processes }): MonitorItem => ({
      kind: "processes",
      machineId,
      processes,
    })),
  z
    .looseObject({ type: z.literal("monitor_error"), message: z.string() })
    .transform(({ message }): MonitorItem => ({ kind: "error", message })),
]);

const refusal = z.looseObject({
  message: z.string(),
  code: z.string().nullish(),
});

/** @throws what refuses the first connection, or a later one for good · the signal's reason */
export async function* monitorMachines(
  context: SocketContext,
  params: MonitorParams,
): AsyncGenerator<MonitorItem, never> {
  const { intervalMs, includeProcesses, signal: asked } = params;
  const ending = new AbortController();
  const signal = asked ? AbortSignal.any([asked, ending.signal]) : ending.signal;
  const subscribe = JSON.stringify({
    type: "monitor_subscribe",
    id: subscription,
    ...given({ interval_ms: intervalMs, include_processes: includeProcesses }),
  });
  async function* follow({ socket, ready }: Connection): AsyncGenerator<MonitorItem, never> {
    await socket.send(subscribe);
    for (;;) {
      for (const item of await readItems(context, socket)) {
        // The first answer: it is subscribed.
        if (item.kind === "machines") ready();
        yield item;
      }
    }
  }
  try {
    const call = { what, path: "/v1/monitor/ws", signal };
    return yield* reconnecting<MonitorItem, never>({ context, call, follow });
  } finally {
    ending.abort();
  }
}

const readItems = (context: SocketContext, socket: Socket): Promise<MonitorItem[]> =>
  readFrames(socket, { trying: what }, (text): MonitorItem | undefined => {
    const frame = readJson(text);
    if (frame.type === "error") throw refused(context, text, frame);
    const parsed = frameItem.safeParse(frame);
    if (parsed.success) return { ...parsed.data };
    if (known.has(frame.type)) throw unreadable(text);
    return undefined;
  });

const known = new Set<unknown>([
  "monitor_snapshot",
  "monitor_update",
  "monitor_metrics",
  "monitor_processes",
  "monitor_error",
]);

function refused({ redact }: SocketContext, text: string, frame: unknown): Error {
  const parsed = refusal.safeParse(frame);
  if (!parsed.success) return unreadable(text);
  const code = parsed.data.code?.toLowerCase() ?? "websocket_error";
  return new (errorClassOf(code, 0))({ message: redact(`${what}: ${parsed.data.message}`), code });
}
