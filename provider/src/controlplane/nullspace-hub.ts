/**
 * One lifecycle stream for all machines of a deploy: who waits for a machine, or for the machine of a create, is told when
 * something has happened to it. Opened at first need, closed when nobody waits.
 */
import { NotImplementedError, type LifecycleEvent, type NullspaceClient } from "@pulumi-machines/sdk";
import { tagNames } from "./tags";

type Listener = (event: LifecycleEvent) => void;

/** The stream has ended: who waits has to look for himself. */
interface Waiting {
  wants(event: LifecycleEvent): boolean;
  tell: Listener;
  fail(error: unknown): void;
}

/** Nobody waiting for so long ends the stream, in milliseconds: the next machine of the deploy may need it soon. */
const lingerMs = 2_000;

export class NullspaceHub {
  private readonly waiting = new Set<Waiting>();
  private open: { ready: Promise<void>; stop: AbortController } | undefined;
  private linger: NodeJS.Timeout | undefined;

  constructor(private readonly client: NullspaceClient) {}

  /**
   * Resolves once every later event is told to `waiting`; answers how to stop.
   * @throws NotImplementedError where the service keeps no history · what refuses the stream
   */
  async listen(waiting: Waiting): Promise<() => void> {
    this.waiting.add(waiting);
    clearTimeout(this.linger);
    const stop = (): void => this.leave(waiting);
    try {
      this.open ??= this.begin();
      await this.open.ready;
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
    this.open?.stop.abort();
    this.open = undefined;
  }

  private leave(waiting: Waiting): void {
    if (!this.waiting.delete(waiting) || this.waiting.size > 0) return;
    this.linger = setTimeout(() => this.close(), lingerMs);
    this.linger.unref();
  }

  private begin(): { ready: Promise<void>; stop: AbortController } {
    const stop = new AbortController();
    const ready = this.run(stop);
    ready.catch(() => undefined); // Told to everybody who listens.
    return { ready, stop };
  }

  /** Resolves when the place in the log is known, from which on nothing is missed. */
  private async run(stop: AbortController): Promise<void> {
    const { signal } = stop;
    try {
      const { events } = await this.client.lifecycle.list({ limit: 1 }, { signal }).page();
      const last = events[0]?.id;
      const stream = this.client.lifecycle.stream({
        signal,
        ...(last === undefined ? {} : { afterEventId: last }),
      });
      void this.follow(stream, stop);
    } catch (error) {
      if (this.open?.stop === stop) this.open = undefined;
      throw error;
    }
  }

  private async follow(stream: AsyncIterable<LifecycleEvent>, stop: AbortController): Promise<void> {
    try {
      for await (const event of stream) {
        for (const waiting of [...this.waiting]) if (waiting.wants(event)) waiting.tell(event);
      }
    } catch (error) {
      if (stop.signal.aborted) return;
      if (this.open?.stop === stop) this.open = undefined;
      for (const waiting of [...this.waiting]) waiting.fail(error);
    }
  }
}

/** True when the service cannot have a stream at all: then only reading again helps. */
export const hasNoHistory = (error: unknown): boolean => error instanceof NotImplementedError;
