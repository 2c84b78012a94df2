/** One connection to a machine's status stream: its new views, and how it ended. */
import { MachinesError, NotFoundError } from "../errors";
import type { CallOptions } from "../call";
import type { Transport } from "../http";
import { readEventBatches } from "../sse";
import { segment } from "../answers";
import { readStatusEvent } from "./watch-event";
import type { WatchProgress } from "./watch-progress";
import type { Machine } from "./wire";

export interface WatchService {
  transport: Transport;
  /** Silence after which a stream counts as dead, in milliseconds. */
  silenceMs: number;
  get(options: CallOptions): Promise<Machine>;
  /** Called where the service has no status stream; default the machine is read again and again. Never resolves. */
  noStream?(options: CallOptions): Promise<never>;
}

export type ConnectionEnd =
  /** `certain` is false where a cut connection looks the same. */
  | { kind: "ended"; certain: boolean }
  /** Nothing more came after what should be the last view. */
  | { kind: "quiet" }
  | { kind: "dropped"; error: MachinesError; reached: boolean }
  /** This service has no status stream. */
  | { kind: "noStream" };

/** How long a stream may stay open and quiet when we know where it should end, in milliseconds. */
const graceMs = 2_000;

/** @throws what no new connection can help: the signal's reason, 401, 403, errors that are not retryable */
export async function* followStream(
  service: WatchService,
  machineId: string,
  progress: WatchProgress,
  signal: AbortSignal,
): AsyncGenerator<Machine, ConnectionEnd> {
  const { transport } = service;
  const expectsNothing = (): boolean => progress.settled || progress.pending !== undefined;
  const grace = Math.min(graceMs, service.silenceMs);
  const silenceMs = (): number => (expectsNothing() ? grace : service.silenceMs);
  let reached = false;
  try {
    const stream = await transport.stream({
      what: `watch machine ${machineId}`,
      machineId,
      method: "GET",
      path: `/v1/machines/${segment("machine id", machineId)}/status/stream`,
      headers: { accept: "text/event-stream", "last-event-id": headerText(progress.resumeAfter) },
      maxRetries: 0, // The watch has its own way to try again.
      options: { signal },
    });
    reached = true;
    let lastEventAt = transport.deps.now();
    for await (const batch of readEventBatches(stream.body, { silenceMs })) {
      for (const event of batch) {
        const view = readStatusEvent(transport, machineId, event);
        if (view === undefined) progress.resumeAfter = event.id || progress.resumeAfter;
        else if (progress.accept(view, event.id || undefined)) yield withRequestId(view, stream.requestId);
      }
      const now = transport.deps.now();
      if (batch.length > 0) lastEventAt = now;
      else if (expectsNothing() && now - lastEventAt >= grace) return { kind: "quiet" };
    }
    return { kind: "ended", certain: stream.endIsCertain };
  } catch (thrown) {
    signal.throwIfAborted();
    return judge(asError(transport, machineId, thrown), reached, expectsNothing());
  }
}

const asError = (transport: Transport, machineId: string, thrown: unknown): MachinesError =>
  thrown instanceof MachinesError
    ? thrown
    : transport.connectionFailure(thrown, { what: `watch machine ${machineId}`, machineId });

function judge(error: MachinesError, reached: boolean, expectsNothing: boolean): ConnectionEnd {
  if (error.code === "stream_silent" && expectsNothing) return { kind: "quiet" };
  if (error instanceof NotFoundError || error.status === 405 || error.status === 501)
    return { kind: "noStream" };
  if (error.code === "no_event_stream") return { kind: "noStream" };
  if (!isPassing(error)) throw error;
  return { kind: "dropped", error, reached };
}

/** True when trying again later may help; a refused key stays refused. */
export const isPassing = (error: MachinesError): boolean =>
  error.retryable && error.status !== 401 && error.status !== 403;

const withRequestId = (view: Machine, requestId: string | undefined): Machine =>
  requestId === undefined ? view : { ...view, requestId };

/** An id that a header cannot carry is not sent: the server then starts with the current state. */
const headerText = (id: string | undefined): string | undefined =>
  id !== undefined && /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(id) ? id : undefined;
