/** A plain WebSocket client of the Nullspace dialect, whose every frame is checked against the wire schemas. */
import type { IncomingMessage } from "node:http";
import { lifecycleServerFrame, machineServerFrame } from "@pulumi-machines/sdk/nullspace/frames";
import { WebSocket, type ClientOptions } from "ws";
import type { Local } from "../../../../local/src/start-local";

export type Frame = Record<string, unknown>;

export interface Refused {
  status: number;
  headers: IncomingMessage["headers"];
  json: Frame;
}

const waitMs = 15_000;

export class TestSocket implements AsyncDisposable {
  /** Frames that nobody has taken yet. */
  readonly waiting: Frame[] = [];
  /** Every frame, in order. */
  readonly seen: Frame[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  pings = 0;
  private wake: () => void = () => undefined;
  private isClosed = false;

  private constructor(
    readonly ws: WebSocket,
    private readonly path: string,
  ) {
    ws.on("message", (data: Buffer) => {
      const frame = JSON.parse(data.toString("utf8")) as Frame;
      check(this.path, frame);
      this.seen.push(frame);
      this.waiting.push(frame);
      this.wake();
    });
    ws.on("ping", () => this.pings++);
    ws.on("error", () => undefined);
    this.closed = new Promise((resolve) => {
      ws.on("close", (code, reason) => {
        this.isClosed = true;
        this.wake();
        resolve({ code, reason: reason.toString() });
      });
    });
  }

  /** @param path below the dialect, such as "/v1/lifecycle/ws" */
  static async open(local: Local, path: string, options: ClientOptions = {}): Promise<TestSocket> {
    const opened = await upgrade(local, path, { headers: keyOf(local), ...options });
    if (opened instanceof TestSocket) return opened;
    throw new Error(`refused: ${String(opened.status)} ${JSON.stringify(opened.json)}`);
  }

  static of(ws: WebSocket, path: string): TestSocket {
    return new TestSocket(ws, path);
  }

  send(frame: Frame | string | Buffer): void {
    this.ws.send(typeof frame === "string" || Buffer.isBuffer(frame) ? frame : JSON.stringify(frame));
  }

  /** The next frame; undefined when the socket closed instead. */
  async next(): Promise<Frame | undefined> {
    const timeout = AbortSignal.timeout(waitMs);
    while (this.waiting.length === 0 && !this.isClosed) {
      if (timeout.aborted)
        throw new Error(`no frame came; seen: ${JSON.stringify(this.seen).slice(0, 2000)}`);
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        timeout.addEventListener("abort", () => resolve(), { once: true });
      });
    }
    return this.waiting.shift();
  }

  /** Frames up to and with the first that fits, without those before it that were taken. */
  async until(fits: (frame: Frame) => boolean): Promise<Frame[]> {
    const frames: Frame[] = [];
    for (;;) {
      const frame = await this.next();
      if (!frame) throw new Error(`closed before it came; seen: ${JSON.stringify(this.seen).slice(0, 2000)}`);
      frames.push(frame);
      if (fits(frame)) return frames;
    }
  }

  untilType = (...types: string[]): Promise<Frame[]> =>
    this.until(({ type }) => types.includes(String(type)));

  /** Sends, and answers the frame that comes next. */
  async ask(frame: Frame | string): Promise<Frame> {
    this.send(frame);
    const answer = await this.next();
    if (!answer) throw new Error(`closed: ${JSON.stringify(await this.closed)}`);
    return answer;
  }

  /** Cuts the connection, as a network does. */
  cut(): void {
    this.ws.terminate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.ws.close();
    const cut = setTimeout(() => this.ws.terminate(), 1_000);
    await this.closed;
    clearTimeout(cut);
  }
}

/** The monitor's frames have no schema of their own: its tests look at each. */
function check(path: string, frame: Frame): void {
  if (path.startsWith("/v1/monitor")) return;
  const schema = path.includes("/lifecycle") ? lifecycleServerFrame : machineServerFrame;
  const parsed = schema.safeParse(frame);
  if (!parsed.success) throw new Error(`not a frame of ${path}: ${JSON.stringify(frame)}`);
}

export const keyOf = ({ apiKey }: Local) => ({ authorization: `Bearer ${apiKey}` });

/** An open socket, or the answer that refused it. */
export async function upgrade(
  local: Local,
  path: string,
  { protocols, ...options }: ClientOptions & { protocols?: string[] } = {},
): Promise<TestSocket | Refused> {
  const url = (path.startsWith("/v1") ? local.nullspace : local.url).replace("http:", "ws:") + path;
  const ws = new WebSocket(url, protocols ?? [], options);
  const socket = TestSocket.of(ws, path);
  return new Promise((resolve, reject) => {
    ws.once("open", () => resolve(socket));
    ws.once("error", reject);
    ws.once("unexpected-response", (_request, response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("end", () => {
        const json = JSON.parse(Buffer.concat(parts).toString()) as Frame;
        resolve({ status: response.statusCode ?? 0, headers: response.headers, json });
      });
    });
  });
}

/** [status, code] of a refused upgrade. */
export async function refusal(local: Local, path: string, options: Parameters<typeof upgrade>[2] = {}) {
  const answer = await upgrade(local, path, { headers: keyOf(local), ...options });
  if (!(answer instanceof TestSocket)) return [answer.status, answer.json["code"]];
  await answer[Symbol.asyncDispose]();
  return [101];
}
