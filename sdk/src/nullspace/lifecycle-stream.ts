/**
 * `lifecycle.stream`: what happens to machines and snapshots, as it happens, over dropped connections, without a lost or
 * repeated event. The socket is the source; the history tells what a service that replays too little has left out.
 */
import { UsageError } from "../errors";
import type { Socket } from "../socket";
import { machinePath } from "./calls";
import type { NullspaceContext } from "./context";
import { handshake } from "./handshake";
import { subscribeText, type LifecycleFilter } from "./lifecycle-filter";
import { refuseInternal } from "./lifecycle-history";
import { LifecyclePlace } from "./lifecycle-place";
import { readLifecycleFrame, streamError, type LifecycleFrame } from "./lifecycle-stream-frames";
import type { SocketContext } from "./open-socket";
import { readFrames } from "./read-frames";
import { reconnecting, type Connection } from "./reconnect";
import type { LifecycleEvent } from "./wire";

export interface LifecycleStreamParams extends LifecycleFilter {
  /** Everything after this event comes first, however much it is. Default: the newest `replayLimit` events. */
  afterEventId?: string | undefined;
  /** Nothing from before the call; not together with `afterEventId`. Default false. */
  liveOnly?: boolean | undefined;
  /** Events that are replayed at the beginning without `afterEventId`; default 100, the service's. 0 is none. */
  replayLimit?: number | undefined;
  /** Ends the stream; the loop then throws its reason. */
  signal?: AbortSignal | undefined;
}

export const lifecycleStreamDefaults = {
  /** Quiet after a new connection, past which the history is asked whether anything was missed. */
  quietMs: 1_000,
} as const;

export interface StreamServices {
  context: SocketContext & Pick<NullspaceContext, "transport">;
  /** The machine's own socket instead of the account's. */
  machineId?: string | undefined;
}

/**
 * Never ends by itself.
 * @throws what refuses the first connection, or a later one for good · what the service says in an error frame ·
 * NotFoundError for an unknown `afterEventId` · UsageError · the signal's reason
 */
export async function* streamLifecycle(
  services: StreamServices,
  params: LifecycleStreamParams,
): AsyncGenerator<LifecycleEvent, never> {
  const { afterEventId, liveOnly, replayLimit, signal: given, ...filter } = params;
  refuseInternal(filter.audience);
  if (liveOnly === true && afterEventId !== undefined) throw contradiction();
  const { context, machineId = filter.machineId } = services;
  const { deps, transport } = context;
  const ending = new AbortController();
  const signal = AbortSignal.any([...(given ? [given] : []), context.closing, ending.signal]);
  const whole = { ...filter, machineId };
  const place = new LifecyclePlace(transport, deps, whole, { afterEventId, liveOnly, replayLimit });
  const what = `follow the lifecycle events${machineId === undefined ? "" : ` of machine ${machineId}`}`;
  const connections = new LifecycleConnections(context, what, whole, place, signal);
  const own = services.machineId;
  const asked = own === undefined ? filter : { ...filter, machineId: undefined };
  try {
    await place.begin({ signal });
    return yield* reconnecting({
      context,
      call: {
        what,
        machineId,
        path: own === undefined ? "/v1/lifecycle/ws" : machinePath(own, "/lifecycle/ws"),
        signal,
      },
      follow: (connection) => connections.follow(connection, asked),
    });
  } finally {
    ending.abort();
  }
}

class LifecycleConnections {
  constructor(
    private readonly context: SocketContext,
    private readonly what: string,
    private readonly filter: LifecycleFilter,
    private readonly place: LifecyclePlace,
    private readonly signal: AbortSignal,
  ) {}

  /** One connection. */
  async *follow(
    { socket, isFirst, ready }: Connection,
    asked: LifecycleFilter,
  ): AsyncGenerator<LifecycleEvent, never> {
    const { place } = this;
    await socket.send(subscribeText(asked, place.from(isFirst)));
    const { what, filter } = this;
    const [subscribed, ...early] = await handshake<LifecycleFrame>(socket, {
      what,
      machineId: filter.machineId,
      read: () => this.read(socket),
      isAnswer: ({ kind }) => kind === "subscribed",
    });
    ready();
    const replaysAll = subscribed?.kind === "subscribed" && subscribed.replaysAll;
    return yield* this.events(socket, early, !replaysAll && place.mayHaveMissed(isFirst));
  }

  private async *events(
    socket: Socket,
    early: LifecycleFrame[],
    mayHaveMissed: boolean,
  ): AsyncGenerator<LifecycleEvent, never> {
    const { place, signal } = this;
    let reading = Promise.resolve(early);
    if (early.length === 0) {
      reading = this.read(socket);
      reading.catch(() => undefined); // Awaited below.
      if (mayHaveMissed && (await this.isQuiet(reading))) {
        yield* place.missed(undefined, signal);
        mayHaveMissed = false;
      }
    }
    for (;;) {
      for (const frame of await reading) {
        if (frame.kind !== "event") continue;
        if (mayHaveMissed) yield* place.missed(frame.event.id, signal);
        mayHaveMissed = false;
        if (place.accept(frame.event)) yield frame.event;
      }
      reading = this.read(socket);
    }
  }

  private async read(socket: Socket): Promise<LifecycleFrame[]> {
    const { context, what } = this;
    const { machineId } = this.filter;
    return readFrames(socket, { trying: what, machineId }, (text) => {
      const frame = readLifecycleFrame(text);
      if (frame.kind === "error") throw streamError(what, frame, machineId, context.redact);
      return frame;
    });
  }

  private async isQuiet(reading: Promise<unknown>): Promise<boolean> {
    const over = new AbortController();
    const { deps } = this.context;
    const quiet = deps
      .sleep(lifecycleStreamDefaults.quietMs, AbortSignal.any([over.signal, this.signal]))
      .then(
        () => true,
        () => false,
      );
    const heard = reading.then(
      () => false,
      () => false,
    );
    const isQuiet = await Promise.race([heard, quiet]);
    over.abort();
    return isQuiet;
  }
}

const contradiction = (): UsageError =>
  new UsageError({
    message: "lifecycle stream: liveOnly and afterEventId contradict each other; give one of them",
    code: "invalid_argument",
  });
