/**
 * Calls that answer only when a machine is where it was asked to be, or a command at its end. A wait ends with its bound,
 * with the control plane, or with its client; whatever it waits for goes on, and is found again afterwards.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { FastifyReply } from "fastify";
import { Refusal } from "../../engine/control-plane";
import { type WireError, wireError } from "./errors";
import { machineId } from "./ids";

/** Each bound is below the time after which the vendor's client gives such a call up: 120, 300 and 30 s. */
const kinds = {
  create: { boundMs: 110_000, repeatable: true },
  lifecycle: { boundMs: 280_000, repeatable: true },
  other: { boundMs: 25_000, repeatable: true },
  input: { boundMs: 25_000, repeatable: false },
  /** Bounds itself, by its own timeout. */
  command: { boundMs: undefined, repeatable: false },
  /** Ends with its request, as does a transfer, which takes as long as its bytes. */
  file: { boundMs: 110_000, repeatable: true },
  transfer: { boundMs: undefined, repeatable: true },
} as const;

export interface Wait {
  kind: keyof typeof kinds;
  /** The machine it is about, where it is known. */
  id?: string;
}

const ends = {
  bound: ["this takes longer than a request can wait", "it goes on"],
  closing: ["the control plane stops", "this goes on when it is started again"],
  gone: ["the client went away", "this goes on"],
} as const;

class WaitEnd extends Error {
  constructor(readonly why: keyof typeof ends) {
    super(ends[why].join("; "));
  }
}

const defaultRetryMs = 250;

export class Waiting {
  private readonly open = new Set<AbortController>();
  private closed = false;

  /** Ends every wait: the control plane stops. */
  close(): void {
    this.closed = true;
    for (const wait of this.open) wait.abort(new WaitEnd("closing"));
  }

  /** @throws WireError 409 transition_in_progress when the wait ended before what it waited for */
  async run<T>(reply: FastifyReply, wait: Wait, act: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const own = new AbortController();
    const end = (why: keyof typeof ends) => () => {
      own.abort(new WaitEnd(why));
    };
    const { boundMs } = kinds[wait.kind];
    const bound = boundMs === undefined ? undefined : setTimeout(end("bound"), boundMs);
    const gone = end("gone");
    reply.raw.once("close", gone);
    this.open.add(own);
    if (this.closed) end("closing")();
    if (reply.raw.destroyed) gone();
    try {
      return await act(own.signal);
    } catch (error) {
      throw error instanceof WaitEnd ? stillGoing(error, wait) : error;
    } finally {
      clearTimeout(bound);
      reply.raw.off("close", gone);
      this.open.delete(own);
    }
  }

  /** As `run`, and waits also while another request with the same idempotency key is under way. */
  async once<T>(reply: FastifyReply, wait: Wait, mutate: () => Promise<T>): Promise<T> {
    return this.run(reply, wait, async (signal) => {
      for (;;) {
        try {
          return await mutate();
        } catch (error) {
          if (!(error instanceof Refusal) || error.code !== "idempotency_in_flight") throw error;
          await pause(error.options.retryAfterMs ?? defaultRetryMs, signal);
        }
      }
    });
  }
}

/** Rejects with the signal's own reason. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch((error: unknown) => {
    signal.throwIfAborted();
    throw error;
  });
}

function stillGoing({ message, why }: WaitEnd, { kind, id }: Wait): WireError {
  if (kind === "file" || kind === "transfer") {
    return wireError(503, "file_error", `${ends[why][0]}; it was given up`, { retryable: true });
  }
  const { repeatable } = kinds[kind];
  return wireError(
    kind === "command" ? 502 : 409,
    kind === "command" ? "exec_failed" : "transition_in_progress",
    message + (repeatable ? "; ask again, with the same Idempotency-Key where there was one" : ""),
    {
      retryable: repeatable,
      ...(repeatable ? { retryAfterMs: 1000 } : {}),
      ...(id === undefined ? {} : { details: { machine_id: machineId(id) } }),
    },
  );
}
