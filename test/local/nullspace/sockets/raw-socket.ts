/** A WebSocket client by hand, which can send what no library would. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { Local } from "../../../../local/src/start-local";

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface RawFrame {
  opcode: number;
  payload?: Buffer | string;
  /** Default true. */
  fin?: boolean;
  /** Clients must; default true. */
  masked?: boolean;
  /** Reserved bits; default 0. */
  rsv?: number;
}

/** A frame of a client, masked with zeros, so that it reads as it is. */
export function rawFrame({ opcode, payload = "", fin = true, masked = true, rsv = 0 }: RawFrame): Buffer {
  const data = Buffer.from(payload);
  const mask = masked ? 0x80 : 0;
  const length =
    data.length < 126
      ? Buffer.from([mask | data.length])
      : Buffer.from([mask | 126, data.length >> 8, data.length & 0xff]);
  const key = Buffer.alloc(masked ? 4 : 0);
  return Buffer.concat([Buffer.from([(fin ? 0x80 : 0) | (rsv << 4) | opcode]), length, key, data]);
}

export class RawSocket {
  private received: Buffer = Buffer.alloc(0);
  readonly ended: Promise<void>;

  private constructor(readonly socket: Socket) {
    socket.on("error", () => undefined);
    socket.on("data", (data: Buffer) => (this.received = Buffer.concat([this.received, data])));
    this.ended = new Promise((resolve) => socket.once("close", () => resolve()));
  }

  /** Connected, and nothing sent. */
  static async connect({ url }: Local): Promise<RawSocket> {
    const { port, hostname } = new URL(url);
    const socket = connect(Number(port), hostname);
    await once(socket, "connect");
    return new RawSocket(socket);
  }

  /** An open WebSocket. */
  static async open(local: Local, path: string): Promise<RawSocket> {
    const raw = await RawSocket.connect(local);
    raw.socket.write(upgradeText(local, path));
    while (!raw.received.includes("\r\n\r\n")) await once(raw.socket, "data");
    const head = raw.received.toString("latin1");
    if (!head.startsWith("HTTP/1.1 101 ")) throw new Error(head);
    raw.received = raw.received.subarray(head.indexOf("\r\n\r\n") + 4);
    return raw;
  }

  send(frame: RawFrame): void {
    this.socket.write(rawFrame(frame));
  }

  /** Everything that came, as text. */
  get text(): string {
    return this.received.toString("latin1");
  }

  /** Waits until something came. */
  async until(text: string): Promise<void> {
    while (!this.received.includes(text)) await once(this.socket, "data");
  }

  /** The code of the close frame that it got; undefined when the connection ended without one. */
  async closeCode(): Promise<number | undefined> {
    await this.ended;
    let at = 0;
    while (at + 2 <= this.received.length) {
      const opcode = (this.received[at] ?? 0) & 0x0f;
      const short = this.received[at + 1] ?? 0;
      const [length, head] =
        short < 126
          ? [short, 2]
          : short === 126
            ? [this.received.readUInt16BE(at + 2), 4]
            : [Number(this.received.readBigUInt64BE(at + 2)), 10];
      if (opcode === opcodes.close) return length >= 2 ? this.received.readUInt16BE(at + head) : 1005;
      at += head + length;
    }
    return undefined;
  }

  /** How many pings came. */
  get pings(): number {
    let count = 0;
    for (let at = 0; (at = this.received.indexOf(Buffer.from([0x89, 0]), at)) >= 0; at++) count++;
    return count;
  }
}

export const upgradeText = ({ apiKey, url }: Local, path: string): string =>
  `GET /nullspace${path} HTTP/1.1\r\nhost: ${new URL(url).host}\r\nauthorization: Bearer ${apiKey}\r\n` +
  "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n" +
  "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
