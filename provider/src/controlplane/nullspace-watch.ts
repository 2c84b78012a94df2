/** A machine's views on a service without a status stream: events say when to look, and a look says what is. */
import { setTimeout as sleep } from "node:timers/promises";
import { isPhase, isSettled } from "@pulumi-machines/sdk/dedalus/rules";
import { hasNoHistory, NullspaceHub } from "./nullspace-hub";
import { MachineGoneError, type MachineView } from "./port";

/** Between two looks where a service has no history either. */
const pollMs = 2_000;

const lookOf = ({
  phase,
  desiredState,
  vcpu,
  memoryMiB,
  storageGiB,
  reason,
  lastError,
}: MachineView): string =>
  JSON.stringify([phase, desiredState, vcpu, memoryMiB, storageGiB, reason, lastError]);

const isOver = ({ phase, desiredState }: MachineView): boolean =>
  phase === "failed" || phase === "destroyed" || (isPhase(phase) && isSettled(phase, desiredState));

/** Ends when the machine has settled, has failed or is gone. @param look reads the machine now */
export async function* watchByEvents(
  hub: NullspaceHub,
  id: string,
  look: () => Promise<MachineView>,
  signal: AbortSignal,
): AsyncGenerator<MachineView, void> {
  const bell = new Bell();
  let stop: (() => void) | undefined;
  try {
    stop = await hub
      .listen({
        wants: NullspaceHub.wantsMachine(id),
        tell: () => bell.ring(),
        fail: (error) => bell.fail(error),
      })
      .catch((error: unknown) => {
        if (hasNoHistory(error)) return undefined;
        throw error;
      });
    let last: MachineView | undefined;
    for (;;) {
      signal.throwIfAborted();
      // Before the look: what happens meanwhile rings again.
      bell.clear();
      const view = await lookOrGone(look, last, id);
      if (!last || lookOf(view) !== lookOf(last)) yield view;
      last = view;
      if (isOver(view)) return;
      if (stop) await bell.rung(signal);
      else await sleep(pollMs, undefined, { signal });
    }
  } finally {
    stop?.();
  }
}

/** A machine that is gone after it was seen has a last view. */
async function lookOrGone(
  look: () => Promise<MachineView>,
  last: MachineView | undefined,
  id: string,
): Promise<MachineView> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof MachineGoneError) || !last) throw error;
    return { ...last, id, phase: "destroyed", desiredState: "destroyed", reason: "" };
  }
}

/** Remembers that it was rung until somebody asks. */
class Bell {
  private isRung = false;
  private failure: { error: unknown } | undefined;
  private wake: (() => void) | undefined;

  ring(): void {
    this.isRung = true;
    this.wake?.();
  }

  fail(error: unknown): void {
    this.failure = { error };
    this.wake?.();
  }

  clear(): void {
    this.isRung = false;
  }

  /** @throws what the stream has ended with; the signal's reason */
  async rung(signal: AbortSignal): Promise<void> {
    while (!this.isRung && !this.failure) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    }
    if (this.failure) throw this.failure.error;
  }
}
