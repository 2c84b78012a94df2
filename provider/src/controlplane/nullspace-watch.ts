/** A machine's views on a service without a status stream: events say when to look, and a look says what is. */
import { isPhase, isSettled } from "@pulumi-machines/sdk/dedalus/rules";
import { realClock } from "../context";
import { NullspaceHub } from "./nullspace-hub";
import { MachineGoneError, type MachineView } from "./port";

/** In milliseconds. */
const pauses = {
  /** For the stream of events to be there; without it the machine is read again and again. */
  listen: 10_000,
  /** Between two looks where nothing is told: no history, no WebSockets. */
  deaf: 2_000,
  /** The same where events are told: one may come before what it tells can be read, or not at all. */
  listening: 15_000,
} as const;

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
  let pauseMs: number = pauses.listening;
  const deafened = (): void => {
    pauseMs = pauses.deaf;
    bell.ring();
  };
  const waiting = { wants: NullspaceHub.wantsMachine(id), tell: () => bell.ring(), deafened };
  const soon = AbortSignal.any([signal, AbortSignal.timeout(pauses.listen)]);
  // Whatever keeps the events away, the machine can be read; what refuses that, too, is thrown by the look.
  const stop = await hub.listen(waiting, soon).catch(deafened);
  try {
    let last: MachineView | undefined;
    for (;;) {
      signal.throwIfAborted();
      // Before the look: what happens meanwhile rings again.
      bell.clear();
      const view = await lookOrGone(look, last, id);
      if (!last || lookOf(view) !== lookOf(last)) yield view;
      last = view;
      if (isOver(view)) return;
      await bell.rung(pauseMs, signal);
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
  private wake: () => void = () => undefined;

  ring(): void {
    this.isRung = true;
    this.wake();
  }

  clear(): void {
    this.isRung = false;
  }

  /** Resolves when it was rung, when `ms` have passed, or when the signal is aborted. */
  async rung(ms: number, signal: AbortSignal): Promise<void> {
    if (this.isRung) return;
    const woken = new AbortController();
    this.wake = () => woken.abort();
    await realClock.sleep(ms, AbortSignal.any([signal, woken.signal]));
  }
}
