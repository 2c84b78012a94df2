/** Stands before the Nullspace dialect and hides what the hosted service does not have; counts and cuts its WebSockets. */
import { createServer, request, type IncomingMessage, type Server } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";

export class HostedProxy implements AsyncDisposable {
  /** Paths that answer 404, as one that no route has. */
  hidden: RegExp = /\/status\/stream$/;
  /** Paths that answer `missingStatus`. */
  missing: RegExp | undefined;
  missingStatus = 501;
  /** Paths that never answer. */
  silent: RegExp | undefined;
  /** WebSockets that were opened, in all. */
  opened = 0;
  /** Requests by their path. */
  readonly asked: string[] = [];
  /** Connections of any kind that were open at once. */
  mostOpen = 0;
  private readonly sockets = new Set<Socket>();
  private readonly connections = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    private readonly target: URL,
  ) {}

  static async before(target: string): Promise<HostedProxy> {
    const server = createServer();
    const proxy = new HostedProxy(server, new URL(target));
    server.on("request", (incoming, answer) => {
      const path = (incoming.url ?? "").split("?")[0] ?? "";
      proxy.asked.push(`${incoming.method ?? ""} ${path}`);
      const status = proxy.hidden.test(path)
        ? 404
        : proxy.missing?.test(path)
          ? proxy.missingStatus
          : undefined;
      if (proxy.silent?.test(path)) return;
      if (status !== undefined) {
        answer.writeHead(status, { "content-type": "application/json" });
        return void answer.end(
          JSON.stringify({ error: "no such route", code: status === 404 ? "not_found" : "not_implemented" }),
        );
      }
      const { hostname, port } = proxy.target;
      const { method, url, headers } = incoming;
      const upstream = request({ hostname, port, path: url, method, headers }, (response) => {
        answer.writeHead(response.statusCode ?? 502, response.headers);
        response.pipe(answer);
        response.on("error", () => answer.destroy());
      });
      upstream.on("error", () => answer.destroy());
      answer.on("close", () => upstream.destroy());
      incoming.pipe(upstream);
    });
    const { connections } = proxy;
    server.on("connection", (socket) => {
      proxy.mostOpen = Math.max(proxy.mostOpen, connections.add(socket).size);
      socket.on("close", () => connections.delete(socket));
    });
    server.on("upgrade", (incoming: IncomingMessage, socket: Socket, head: Buffer) =>
      proxy.upgrade(incoming, socket, head),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get url(): string {
    const url = new URL(this.target);
    url.port = String((this.server.address() as AddressInfo).port);
    return url.href;
  }

  /** WebSockets that are open now. */
  get open(): number {
    return this.sockets.size;
  }

  /** Every WebSocket, without a close. */
  cut(): void {
    for (const socket of this.sockets) socket.resetAndDestroy();
  }

  /** Every connection of any kind, without a close. */
  cutAll(): void {
    for (const socket of this.connections) socket.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.cut();
    this.server.closeAllConnections();
    await closed;
  }

  private upgrade(incoming: IncomingMessage, socket: Socket, head: Buffer): void {
    if (this.missing?.test(incoming.url ?? "")) {
      socket.end(`HTTP/1.1 ${String(this.missingStatus)} No\r\nconnection: close\r\n\r\n`);
      return;
    }
    this.opened += 1;
    this.sockets.add(socket);
    const upstream = connect(Number(this.target.port), this.target.hostname);
    const end = (): void => {
      this.sockets.delete(socket);
      socket.destroy();
      upstream.destroy();
    };
    for (const side of [socket, upstream]) side.on("error", end).on("close", end);
    const headers = Object.entries(incoming.headers).map(([name, value]) => `${name}: ${String(value)}`);
    upstream.write(
      `${incoming.method ?? ""} ${incoming.url ?? ""} HTTP/1.1\r\n${headers.join("\r\n")}\r\n\r\n`,
    );
    upstream.write(head);
    socket.pipe(upstream).pipe(socket);
  }
}
