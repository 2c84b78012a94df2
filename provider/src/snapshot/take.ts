/** Takes a snapshot, however long the machine or the service lets it wait, and says meanwhile what it waits for. */
import type { Context } from "../context";
import { MachineGoneError, RefusedError, type MachineView } from "../controlplane/port";
import type { SnapshotPort, SnapshotView } from "../controlplane/snapshot-port";
import { wordsOf } from "../converge";
import { spanOf } from "../history";
import { patiently } from "../patience";
import { Watch } from "../watch";

const heartbeatMs = 20_000;
const firstPauseMs = 1_000;
const longestPauseMs = 15_000;

export interface ToTake {
  machineId: string;
  /** Made before the first attempt. */
  key: string;
  metadata?: Record<string, unknown>;
}

/** The machine, as it is now, cannot be kept: the refusal, outside of what patience repeats. */
class NotInThisPhase extends Error {
  constructor(readonly refusal: RefusedError) {
    super(refusal.message);
  }
}

/** The machine will not come by itself to where a snapshot can be taken. */
export class MachineNotReadyError extends Error {
  override readonly name = "MachineNotReadyError";
}

/** @throws MachineNotReadyError, MachineGoneError, KeyReusedError, RefusedError; the signal's reason at the deadline */
export async function takeSnapshot(
  context: Context,
  snapshots: SnapshotPort,
  toTake: ToTake,
): Promise<SnapshotView> {
  const waiting = new Waiting(context, toTake.machineId);
  try {
    for (;;) {
      try {
        return await patiently(context, () => once(context, snapshots, toTake));
      } catch (error) {
        if (!(error instanceof NotInThisPhase) || context.signal.aborted) throw error;
        await waiting.afterRefusal(error.refusal);
      }
    }
  } finally {
    waiting.close();
  }
}

async function once(
  context: Context,
  snapshots: SnapshotPort,
  { machineId, key, metadata }: ToTake,
): Promise<SnapshotView> {
  const options = { idempotencyKey: key, signal: context.signal };
  try {
    return await withHeartbeat(
      context,
      `taking a snapshot of ${machineId}`,
      snapshots.create(machineId, metadata === undefined ? {} : { metadata }, options),
    );
  } catch (error) {
    if (error instanceof RefusedError && error.code === "INVALID_STATE") throw new NotInThisPhase(error);
    throw error;
  }
}

/** The service answers when it is done, and says nothing before. */
async function withHeartbeat<T>(context: Context, doing: string, work: Promise<T>): Promise<T> {
  const { clock } = context;
  const over = new AbortController();
  const signal = AbortSignal.any([context.signal, over.signal]);
  const began = clock.now();
  context.log(doing);
  const speak = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(heartbeatMs, signal);
      if (signal.aborted) return;
      context.log(`still ${doing} after ${spanOf(clock.now() - began)}`);
    }
  };
  void speak();
  try {
    return await work;
  } finally {
    over.abort();
  }
}

/** Between a refusal because of the machine's phase and the next attempt. */
class Waiting {
  private readonly watch: Watch;
  private readonly options: { signal: AbortSignal };
  private refusals = 0;
  /** What the machine was doing at the last refusal: an attempt was made in this phase, and refused. */
  private refusedIn: string | undefined;

  constructor(
    private readonly context: Context,
    private readonly machineId: string,
  ) {
    this.options = { signal: context.signal };
    this.watch = new Watch(context.controlPlane, machineId, context.signal, context.clock);
  }

  /** Resolves when another attempt is worth it. @throws MachineNotReadyError, MachineGoneError */
  async afterRefusal(refusal: RefusedError): Promise<void> {
    const { context } = this;
    const view = await patiently(context, () =>
      context.controlPlane.getMachine(this.machineId, this.options),
    );
    const isSame = this.refusedIn === view.phase;
    this.refusedIn = view.phase;
    this.refusals += 1;
    if (view.phase === "destroyed" || view.phase === "destroying") throw new MachineGoneError(view.id);
    if (view.phase === "failed") throw new MachineNotReadyError(failedWords(view));
    if (view.phase === "sleeping" && view.desiredState === "sleeping") {
      // It may have been on its way there when it was refused: asleep, it is asked once more.
      if (isSame) throw new MachineNotReadyError(asleepWords(view, refusal));
      return;
    }
    context.log(`waiting for ${view.id}, which is ${wordsOf(view)}: ${refusal.message}`);
    if (view.phase === view.desiredState) await this.pause();
    else await this.otherPhase(view);
  }

  /** Nothing of the machine's says when its own work, such as another snapshot, is over. */
  private async pause(): Promise<void> {
    const ms = Math.min(firstPauseMs * 2 ** (this.refusals - 1), longestPauseMs);
    await this.context.clock.sleep(ms, this.context.signal);
    this.context.signal.throwIfAborted();
  }

  private async otherPhase(before: MachineView): Promise<void> {
    const { context, watch } = this;
    const began = context.clock.now();
    watch.expectNews();
    for (;;) {
      const view = await watch.next(heartbeatMs);
      context.signal.throwIfAborted();
      if (view && (view.phase !== before.phase || view.desiredState !== before.desiredState)) return;
      if (!view)
        context.log(
          `still waiting for ${before.id}, ${wordsOf(before)}, after ${spanOf(context.clock.now() - began)}`,
        );
    }
  }

  close(): void {
    this.watch.close();
  }
}

const failedWords = (view: MachineView): string =>
  `machine ${view.id} is ${wordsOf(view)}, and a snapshot is taken of one that runs: mend the machine first ("pulumi up" ` +
  `tries to repair a failed Machine)`;

const asleepWords = (view: MachineView, refusal: RefusedError): string =>
  `machine ${view.id} sleeps, and this service takes no snapshot of a sleeping machine (${refusal.message}). Wake it, with ` +
  `desiredState: "running" where it is a Machine of this program, and run "pulumi up" again`;
