/** A scripted server on 127.0.0.1 that speaks HTTP and WebSocket, and refuses upgrades where a test says so. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket as RawSocket } from "node:net";
import { WebSocketServer, type ServerOptions, type WebSocket } from "ws";

export interface SocketServer extends AsyncDisposable {
  /** `http://127.0.0.1:port` */
  url: string;
  /** Paths with their queries, in order. */
  upgrades: string[];
  requests: string[];
}

export interface Script {
  /** `count` is 1 for the first socket that opened. */
  socket?: (ws: WebSocket, count: number, request: IncomingMessage) => void;
  /** A whole answer instead of an upgrade; undefined lets it through. `count` is 1 for the first upgrade. */
  refuse?: (count: number, raw: RawSocket) => string | undefined;
  http?: (request: IncomingMessage, response: ServerResponse) => unknown;
  options?: ServerOptions;
}

export async function socketServer(script: Script): Promise<SocketServer> {
  const upgrades: string[] = [];
  const requests: string[] = [];
  const raws = new Set<RawSocket>();
  const server = createServer((request, response) => {
    requests.push(`${request.method ?? ""} ${request.url ?? ""}`);
    if (script.http) void script.http(request, response);
    else response.writeHead(404).end("{}");
  });
  server.on("connection", (raw) => {
    raws.add(raw);
    raw.on("error", () => undefined);
    raw.on("close", () => raws.delete(raw));
  });
  const sockets = new WebSocketServer({ noServer: true, ...script.options });
  let opened = 0;
  server.on("upgrade", (request, raw, head) => {
    const count = upgrades.push(request.url ?? "");
    const answer = script.refuse?.(count, raw as RawSocket);
    if (answer !== undefined) return void raw.end(answer);
    sockets.handleUpgrade(request, raw, head, (ws) => {
      ws.on("error", () => undefined);
      script.socket?.(ws, ++opened, request);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${String(port)}`,
    upgrades,
    requests,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const raw of raws) raw.destroy();
      }),
  };
}

/** An answer to an upgrade that is no 101. */
export function refusal(status: number, body: unknown, headers: Record<string, string> = {}): string {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const all = {
    "content-type": "application/json",
    "content-length": String(Buffer.byteLength(text)),
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${String(status)} Said\r\nconnection: close\r\n${lines.join("")}\r\n${text}`;
}

/** The bare connection below a socket, to cut it in the middle of things. */
export const rawOf = (ws: WebSocket): RawSocket => (ws as unknown as { _socket: RawSocket })._socket;
