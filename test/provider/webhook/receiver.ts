/** Somebody who is told of events, on this host's loopback. */
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";

export interface Got {
  headers: IncomingHttpHeaders;
  body: string;
}

export class Receiver {
  readonly got: Got[] = [];
  status = 204;
  private waiting: (() => void)[] = [];
  private readonly server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      this.got.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
      response.writeHead(this.status).end();
      for (const wake of this.waiting.splice(0)) wake();
    });
  });

  /** Answers its own URL. */
  async open(): Promise<string> {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    return `http://127.0.0.1:${String((this.server.address() as AddressInfo).port)}/hook`;
  }

  /** The first that passes, of those that came or will come. */
  async receives(passes: (got: Got) => boolean): Promise<Got> {
    for (let next = 0; ; next += 1) {
      while (this.got.length <= next) await new Promise<void>((resolve) => this.waiting.push(resolve));
      const got = this.got[next] as Got;
      if (passes(got)) return got;
    }
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }
}
