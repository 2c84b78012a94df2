/** Stands between a client and the control plane, and cuts connections: now, or after so many bytes to the client. */
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

export class CuttingProxy implements AsyncDisposable {
  /** For each of the next connections: bytes to the client after which it is cut. Those after them live. */
  cuts: number[] = [];
  /** Connections so far. */
  connections = 0;
  private readonly open = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    private readonly target: URL,
  ) {}

  static async before(target: string): Promise<CuttingProxy> {
    const server = createServer();
    const proxy = new CuttingProxy(server, new URL(target));
    server.on("connection", (socket) => proxy.serve(socket));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  /** The target's URL, through the proxy. */
  get url(): string {
    const url = new URL(this.target);
    url.port = String((this.server.address() as AddressInfo).port);
    return url.href;
  }

  /** Every open connection. */
  cut(): void {
    for (const socket of this.open) socket.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.cut();
    await closed;
  }

  private serve(client: Socket): void {
    this.connections++;
    let left = this.cuts.shift() ?? Infinity;
    const upstream = connect(Number(this.target.port), this.target.hostname);
    const end = (): void => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      this.open.add(socket);
      socket.on("error", end);
      socket.on("close", () => {
        this.open.delete(socket);
        end();
      });
    }
    client.pipe(upstream);
    upstream.on("data", (data: Buffer) => {
      const part = data.subarray(0, left);
      left -= part.length;
      if (!client.write(part)) {
        upstream.pause();
        client.once("drain", () => upstream.resume());
      }
      if (left === 0) client.end(end);
    });
    upstream.on("end", () => client.end());
  }
}
