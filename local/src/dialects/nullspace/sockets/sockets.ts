/** The WebSockets of the Nullspace API: who may open one, what keeps it alive, and which channel serves it. */
import { randomUUID } from "node:crypto";
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { maxFrameBytes } from "@pulumi-machines/sdk/nullspace/frames";
import { type WebSocket, WebSocketServer } from "ws";
import type { KeyCheck } from "../../../http-auth";
import type { NullspaceDeps } from "../deps";
import { type WireError, wireError } from "../errors";
import { toWireError } from "../refusals";
import { type Channel, closeCodes, Connection } from "./connection";
import { type Admitted, admit, isKey } from "./gate";
import { Heartbeat } from "./heartbeat";
import { LifecycleChannel } from "./lifecycle-channel";
import { MachineChannel } from "./machine-channel";
import { MonitorChannel } from "./monitor-channel";
import { refuseUpgrade } from "./refuse";
import type { Target } from "./target";

export interface SocketsDeps extends NullspaceDeps {
  keys: KeyCheck;
  prefix: string;
  log: {
    info(facts: object, message: string): void;
    error(facts: object, message: string): void;
  };
}

/** A refused client waits so long before it asks again. */
const retryAfterMs = 1_000;

/** Serves upgrades below `prefix`, refuses all others. Returns what closes every socket. */
export function nullspaceSockets(server: Server, deps: SocketsDeps): (graceMs: number) => void {
  const sockets = new Sockets(deps);
  // An upgrade to something else, such as HTTP/2, is only an offer: the request is answered as if it had none.
  // (A setting of the server since Node 24.9; before, such a request is refused.)
  Object.assign(server, { shouldUpgradeCallback: isWebSocket });
  server.on("upgrade", (request: IncomingMessage, raw: Duplex, head: Buffer) => {
    void sockets.upgrade(request, raw, head);
  });
  return (graceMs) => {
    sockets.close(graceMs);
  };
}

const isWebSocket = ({ headers }: IncomingMessage): boolean => headers.upgrade?.toLowerCase() === "websocket";

class Sockets {
  private readonly open = new Set<Connection>();
  private readonly closing = new AbortController();
  private readonly heartbeat: Heartbeat;
  private readonly server: WebSocketServer;
  /** Requests whose handshake the library has yet to accept. */
  private readonly ids = new WeakMap<IncomingMessage, string>();

  constructor(private readonly deps: SocketsDeps) {
    this.heartbeat = new Heartbeat(deps.settings.pingMs, this.open);
    this.server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      maxPayload: maxFrameBytes,
      // Many small pieces of a frame take far more memory than their bytes.
      maxFragments: 1_024,
      maxBufferedChunks: 16_384,
      // Its windows would take more memory than everything else of a socket.
      perMessageDeflate: false,
      // A client that offers its key as a subprotocol has to be told that one was taken: this one.
      handleProtocols: (offered) => [...offered].find((word) => isKey(deps.keys, word)) ?? false,
    });
    this.server.on("wsClientError", (error: Error, raw: Duplex, request: IncomingMessage) => {
      this.refuse(
        request,
        raw,
        wireError(400, "invalid_request", `not a WebSocket handshake: ${error.message}`),
      );
    });
  }

  /** Never rejects. */
  async upgrade(request: IncomingMessage, raw: Duplex, head: Buffer): Promise<void> {
    this.ids.set(request, randomUUID());
    // Until the library listens: a client that goes away is no reason to crash.
    raw.on("error", ignore);
    try {
      const { target, loseAnswer } = await this.admit(request);
      if (loseAnswer) {
        raw.destroy();
        return;
      }
      // Nothing may come between this and the handshake, which takes the place.
      this.requirePlace();
      this.server.handleUpgrade(request, raw, head, (socket) => {
        raw.off("error", ignore);
        this.serve(socket, raw, target);
        this.answered(request, 101);
      });
    } catch (error) {
      this.refuse(request, raw, this.wireErrorOf(error, request));
    }
  }

  close(graceMs: number): void {
    this.closing.abort();
    this.heartbeat.stop();
    for (const connection of this.open) {
      connection.close(closeCodes.goingAway, "the control plane stops; connect again when it is started");
    }
    setTimeout(() => {
      for (const connection of this.open) connection.terminate();
    }, graceMs).unref();
  }

  private async admit(request: IncomingMessage): Promise<Admitted> {
    const { signal } = this.closing;
    const admitted = await admit(request, this.deps, signal);
    signal.throwIfAborted();
    return admitted;
  }

  private requirePlace(): void {
    const { maxSockets } = this.deps.settings;
    if (this.open.size < maxSockets) return;
    throw wireError(
      429,
      "rate_limit_exceeded",
      `this key holds ${String(maxSockets)} WebSockets open: close some (machines-local takes more with --max-sockets)`,
      { retryable: true, retryAfterMs },
    );
  }

  private serve(socket: WebSocket, raw: Duplex, target: Target): void {
    const connection: Connection = new Connection(socket, raw, (message, error) => {
      this.deps.log.error({ err: error }, message);
    });
    this.open.add(connection);
    connection.serve(this.channelOf(target, connection), () => this.open.delete(connection));
  }

  private channelOf(target: Target, connection: Connection): Channel {
    const { controlPlane } = this.deps;
    switch (target.kind) {
      case "machine": {
        const { machineId, channel } = target;
        const { signal: closing } = this.closing;
        return new MachineChannel(connection, channel, { machineId, controlPlane, closing });
      }
      case "lifecycle":
        return new LifecycleChannel(connection, controlPlane.lifecycle, target.machineId);
      case "monitor":
        return new MonitorChannel(connection, controlPlane);
      default:
        return target satisfies never;
    }
  }

  private wireErrorOf(error: unknown, request: IncomingMessage): WireError {
    const known = toWireError(error);
    if (known) return known;
    if (this.closing.signal.aborted) {
      const words = "the control plane stops: ask again when it is started";
      return wireError(503, "internal_error", words, { retryable: true, retryAfterMs });
    }
    const id = this.ids.get(request) ?? "";
    this.deps.log.error({ err: error, reqId: id }, "unexpected error");
    return wireError(500, "internal_error", `internal error; the log has it under request ${id}`);
  }

  private refuse(request: IncomingMessage, raw: Duplex, error: WireError): void {
    refuseUpgrade(raw, error, this.ids.get(request) ?? randomUUID());
    this.answered(request, error.status);
  }

  private answered(request: IncomingMessage, status: number): void {
    const { method, url } = request;
    this.deps.log.info({ reqId: this.ids.get(request), method, url, status }, "answered");
  }
}

const ignore = (): void => undefined;
