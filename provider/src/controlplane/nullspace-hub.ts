/**
 * One lifecycle stream for all machines of a deploy: who waits for a machine, or for the machine of a create, is told when
 * something has happened to it. Opened at first need, closed when nobody waits.
 */
import type { LifecycleEvent, NullspaceClient } from "@pulumi-machines/sdk";
import { tagNames } from "./tags";

export interface Waiting {
  wants(event: LifecycleEvent): boolean;
  tell(event: LifecycleEvent): void;
  /** The stream has ended, and nothing more is told: who waits has to look for himself. */
  deafened(): void;
}

/** Nobody waiting for so long ends the stream, in milliseconds: the next machine of the deploy may need it soon. */
const lingerMs = 2_000;

interface OpenStream {
  ready: Promise<void>;
  stop: AbortController;
}

export class NullspaceHub {
  private readonly waiting = new Set<Waiting>();
  private open: OpenStream | undefined;
  private linger: NodeJS.Timeout | undefined;

  constructor(private readonly client: NullspaceClient) {}

  /**
   * Resolves once every later event is told to `waiting`; answers how to stop.
   * @throws what refuses the stream, such as a service that keeps no history; the signal's reason
   */
  async listen(waiting: Waiting, signal: AbortSignal): Promise<() => void> {
    this.waiting.add(waiting);
    clearTimeout(this.linger);
    const stop = (): void => this.leave(waiting);
    try {
      this.open ??= this.begin();
      await orAborted(this.open.ready, signal);
      return stop;
    } catch (error) {
      stop();
      throw error;
    }
  }

  /** The id of the machine that a create with this key has made, as soon as an event names it. */
  static wantsKey(key: string): Waiting["wants"] {
    return ({ metadata, operation, machineId }) =>
      machineId !== undefined && operation === "create" && metadata[tagNames.key] === key;
  }

  static wantsMachine(id: string): Waiting["wants"] {
    return ({ machineId, targetMachineId }) => machineId === id || targetMachineId === id;
  }

  close(): void {
    clearTimeout(this.linger);
    const { open } = this;
    if (open) this.end(open);
    open?.stop.abort();
  }

  private leave(waiting: Waiting): void {
    if (!this.waiting.delete(waiting) || this.waiting.size > 0) return;
    this.linger = setTimeout(() => this.close(), lingerMs);
    this.linger.unref();
  }

  private begin(): OpenStream {
    const stop = new AbortController();
    const from = this.newest(stop.signal);
    const open: OpenStream = { stop, ready: from.then(() => undefined) };
    const ended = (): void => this.end(open);
    from.then((last) => this.follow(open, last)).then(ended, ended);
    open.ready.catch(() => undefined); // Told to everybody who listens.
    return open;
  }

  /** The place in the log from which on nothing is missed. */
  private async newest(signal: AbortSignal): Promise<string | undefined> {
    const { events } = await this.client.lifecycle.list({ limit: 1 }, { signal }).page();
    return events[0]?.id;
  }

  private async follow(open: OpenStream, afterEventId: string | undefined): Promise<void> {
    const { signal } = open.stop;
    const stream = this.client.lifecycle.stream({
      signal,
      ...(afterEventId === undefined ? {} : { afterEventId }),
    });
    for await (const event of stream) {
      for (const waiting of [...this.waiting]) if (waiting.wants(event)) waiting.tell(event);
    }
  }

  /** Once for each stream; whoever listens from now on begins another one. */
  private end(open: OpenStream): void {
    if (this.open !== open) return;
    this.open = undefined;
    for (const waiting of [...this.waiting]) waiting.deafened();
  }
}

async function orAborted(ready: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await Promise.race([ready, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
