/** Looks at one machine: the status stream while it speaks, a GET when it has ended. Bounded, never spins. */
import type { Clock } from "./context";
import { lookOf } from "./convergence";
import { MachineGoneError, RefusedError, type ControlPlane, type MachineView } from "./controlplane/port";

const shortestPauseMs = 100;
const longestPauseMs = 5_000;

/** True when `view` is older than `than`, where revisions can be compared. */
export function isOlder(view: MachineView, than: MachineView): boolean {
  const number = /^\d{1,30}$/;
  if (!number.test(view.revision) || !number.test(than.revision)) return false;
  return BigInt(view.revision) < BigInt(than.revision);
}

export class Watch {
  private stream: AsyncIterator<MachineView> | undefined;
  private pending: Promise<IteratorResult<MachineView>> | undefined;
  /** How often in a row the stream ended without news. */
  private idleEnds = 0;
  private ended = false;
  /** True once a stream has brought a view. */
  private hasSpoken = false;
  private lastLook = "";

  constructor(
    private readonly controlPlane: ControlPlane,
    private readonly id: string,
    private readonly signal: AbortSignal,
    private readonly clock: Clock,
  ) {}

  /** Something was changed: the next look is worth opening a stream at once. */
  expectNews(): void {
    this.idleEnds = 0;
    this.ended = false;
  }

  /**
   * The next look at the machine; undefined when `ms` passed, or the signal aborted, without one.
   * @throws MachineGoneError; RefusedError when it is not retryable.
   */
  async next(ms: number): Promise<MachineView | undefined> {
    if (this.ended) return this.ask(ms);
    const stop = new AbortController();
    const signal = AbortSignal.any([this.signal, stop.signal]);
    try {
      this.stream ??= this.controlPlane
        .watchMachine(this.id, { signal: this.signal })
        [Symbol.asyncIterator]();
      this.pending ??= this.stream.next();
      const pending = this.pending;
      const got = await Promise.race([pending, this.clock.sleep(ms, signal)]);
      if (!got) {
        // It may fail while nobody looks; the next look will tell.
        pending.catch(() => undefined);
        // A stream that has said nothing at all may be waiting for a connection.
        return this.hasSpoken ? undefined : await this.look();
      }
      this.pending = undefined;
      this.hasSpoken = true;
      if (!got.done) return this.news(got.value);
    } catch (error) {
      this.pending = undefined;
      if (this.signal.aborted) return undefined;
      if (error instanceof MachineGoneError || (error instanceof RefusedError && !error.retryable))
        throw error;
      if (!(error instanceof RefusedError)) throw error;
    } finally {
      stop.abort();
    }
    this.stream = undefined;
    this.ended = true;
    return this.ask(ms);
  }

  /** One GET, later the more often nothing had changed; then a stream may be opened again. */
  private async ask(ms: number): Promise<MachineView | undefined> {
    const pause = this.idleEnds === 0 ? 0 : Math.min(shortestPauseMs * 2 ** this.idleEnds, longestPauseMs);
    if (pause > 0) await this.clock.sleep(Math.min(pause, ms), this.signal);
    if (this.signal.aborted) return undefined;
    this.idleEnds += 1;
    const view = await this.look();
    if (view) this.ended = false;
    return view;
  }

  /** The machine now; undefined when it cannot be told just now. */
  private async look(): Promise<MachineView | undefined> {
    if (this.signal.aborted) return undefined;
    try {
      return this.news(await this.controlPlane.getMachine(this.id, { signal: this.signal }));
    } catch (error) {
      if (this.signal.aborted) return undefined;
      if (error instanceof RefusedError && error.retryable) return undefined;
      throw error;
    }
  }

  /** Only a look that differs is news: a stream that says the same and ends again must not be opened at once. */
  private news(view: MachineView): MachineView {
    const look = lookOf(view);
    if (look !== this.lastLook) this.idleEnds = 0;
    this.lastLook = look;
    return view;
  }

  /** Ends the stream, if one is open. */
  close(): void {
    this.pending?.catch(() => undefined);
    void this.stream?.return?.()?.catch(() => undefined);
    this.stream = undefined;
    this.pending = undefined;
  }
}
