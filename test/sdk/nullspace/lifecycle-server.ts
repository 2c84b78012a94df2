/** A lifecycle log behind real sockets and real HTTP on 127.0.0.1, with connections that are cut where the script says. */
import type { WebSocket } from "ws";
import { rawOf, socketServer, type Script, type SocketServer } from "../socket-server";

export interface WireEvent {
  id: string;
  occurred_at: string;
  [member: string]: unknown;
}

export interface Log {
  /** Those that stand in the log already. */
  before?: number;
  /** Events told in all; one more is written after each that is sent, and `away` while nobody listens. */
  total: number;
  cuts?: { after: number; away?: number; within?: boolean }[];
  /** What a connection after an event replays: all of it, as the newest so many, or nothing at all. */
  replays?: "all" | number;
  /** Events of one moment. */
  perMoment?: number;
  /** Status of the history's answers in place of them. */
  historyStatus?: number;
  script?: Script;
  /** Members of each event; by its number. */
  event?: (at: number) => Record<string, unknown>;
  /** Sent as they are after `subscribed`, on the first connection. */
  extra?: unknown[];
}

export interface FakeLog extends SocketServer {
  subscriptions: Record<string, unknown>[];
  /** Writes one more event and tells it. */
  write(): void;
}

export const idOf = (at: number): string => `00000000-0000-4000-8000-${String(at).padStart(12, "0")}`;

export function wireEvent(log: Log, at: number): WireEvent {
  const moment = Date.parse("2026-01-01T00:00:00Z") + Math.floor(at / (log.perMoment ?? 3)) * 10;
  return {
    id: idOf(at),
    occurred_at: new Date(moment).toISOString(),
    audience: "customer",
    operation: at % 2 ? "create" : "fork",
    status: "succeeded",
    actor_kind: "user",
    metadata: { at },
    machine_id: "mch_1",
    ...log.event?.(at),
  };
}

export async function fakeLog(log: Log): Promise<FakeLog> {
  const events: WireEvent[] = [];
  const live = new Set<(event: WireEvent) => void>();
  const write = (): void => {
    if (events.length >= log.total) return;
    const event = wireEvent(log, events.length);
    events.push(event);
    for (const tell of [...live]) tell(event);
  };
  for (let at = 0; at < (log.before ?? 0); at++) write();
  let connections = 0;

  const serve = (ws: WebSocket): void => {
    const isFirst = connections === 0;
    const cut = log.cuts?.[connections++];
    let sent = 0;
    let isCut = false;
    const send = (frame: unknown): void => {
      if (isCut || ws.readyState !== ws.OPEN) return;
      if (cut !== undefined && sent >= cut.after) {
        isCut = true;
        live.delete(tell);
        if (cut.within) rawOf(ws).write(Buffer.from([0x81, 0x7d, 0x7b]), () => rawOf(ws).destroy());
        else rawOf(ws).destroy();
        for (let away = cut.away ?? 0; away > 0; away--) write();
        return;
      }
      sent++;
      ws.send(JSON.stringify(frame));
    };
    const tell = (event: WireEvent): void => send({ type: "event", event });
    ws.on("message", (data: Buffer) => {
      const asked = JSON.parse(data.toString()) as Record<string, unknown>;
      fake.subscriptions.push(asked);
      const { type: _, ...subscription } = asked;
      const after = asked["after_event_id"];
      const at = typeof after === "string" ? events.findIndex(({ id }) => id === after) : -1;
      if (typeof after === "string" && at < 0) {
        return send({ type: "error", message: `no event ${after}`, code: "event_not_found" });
      }
      send({ type: "subscribed", subscription, reconnect_mode: "live_only" });
      for (const frame of isFirst ? (log.extra ?? []) : []) send(frame);
      const newest = Number(asked["replay_limit"] ?? 100);
      const whole =
        after === undefined ? events.slice(Math.max(0, events.length - newest)) : events.slice(at + 1);
      const most = typeof log.replays === "number" && after !== undefined ? log.replays : whole.length;
      if (asked["live_only"] !== true) {
        for (const event of whole.slice(whole.length - Math.min(most, whole.length))) tell(event);
      }
      if (!isCut) live.add(tell);
      const goOn = (): void => {
        if (isCut || ws.readyState !== ws.OPEN || events.length >= log.total) return;
        write();
        setImmediate(goOn);
      };
      setImmediate(goOn);
    });
    ws.on("close", () => live.delete(tell));
  };

  const server = await socketServer({
    ...log.script,
    socket: serve,
    http: (request, response) => {
      const url = new URL(request.url ?? "", "http://x");
      response.setHeader("content-type", "application/json");
      if (log.historyStatus !== undefined) {
        response.writeHead(log.historyStatus);
        return response.end(JSON.stringify({ error: "no", code: "not_implemented" }));
      }
      const query = url.searchParams;
      const [from, to, operation] = [query.get("from"), query.get("to"), query.get("operation")];
      const [offset, limit] = [Number(query.get("offset") ?? 0), Number(query.get("limit") ?? 50)];
      const found = events.filter(
        (event) =>
          (from === null || event.occurred_at >= from) &&
          (to === null || event.occurred_at < to) &&
          (operation === null || event["operation"] === operation),
      );
      if (query.get("order") !== "asc") found.reverse();
      const page = found.slice(offset, offset + limit);
      response.end(JSON.stringify({ events: page, offset, limit, has_more: offset + limit < found.length }));
    },
  });
  const fake: FakeLog = Object.assign(server, { subscriptions: [], write });
  return fake;
}
