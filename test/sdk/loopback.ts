/** Scripted servers on 127.0.0.1: whole answers, or raw bytes for the answers that no HTTP library would send. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createRawServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { Server as HttpServer } from "node:http";

export interface Seen {
  method: string;
  url: string;
  headers: IncomingMessage["headers"];
  body: string;
}

export interface Loopback extends AsyncDisposable {
  url: string;
  seen: Seen[];
  close(): Promise<void>;
}

export type Answer = (response: ServerResponse, request: Seen, count: number) => unknown;

/** A real HTTP server; `count` is 1 for the first request. */
export async function httpServer(answer: Answer): Promise<Loopback> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      const { method = "", url = "", headers } = request;
      const record = { method, url, headers, body: Buffer.concat(chunks).toString() };
      await answer(response, record, seen.push(record));
    })();
  });
  return listen(server, seen, () => server.closeAllConnections());
}

/** Bytes on a socket; `count` is 1 for the first request, `head` what the client sent. */
export async function rawServer(
  answer: (socket: Socket, head: string, count: number) => void,
): Promise<Loopback> {
  const sockets = new Set<Socket>();
  const seen: Seen[] = [];
  const server = createRawServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    let head = "";
    socket.on("data", (bytes) => {
      head += bytes.toString("latin1");
      const end = head.indexOf("\r\n\r\n");
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (end < 0 || head.length < end + 4 + length) return;
      const whole = head;
      head = "";
      const [method = "", url = ""] = whole.split(" ");
      answer(socket, whole, seen.push({ method, url, headers: {}, body: whole.slice(end + 4) }));
    });
  });
  return listen(server, seen, () => sockets.forEach((socket) => socket.destroy()));
}

async function listen(server: Server | HttpServer, seen: Seen[], dropAll: () => void): Promise<Loopback> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      dropAll();
    });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${String(port)}`, seen, close, [Symbol.asyncDispose]: close };
}

/** A port on which nothing listens. */
export async function freePort(): Promise<number> {
  const server = await httpServer(() => undefined);
  await server.close();
  return Number(new URL(server.url).port);
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}
