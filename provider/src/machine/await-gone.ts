/** Destroys a machine and watches until it is gone. */
import type { Context } from "../context";
import { MachineGoneError, RefusedError, type MachineView } from "../controlplane/port";
import { wordsOf } from "../converge";
import { messageOf } from "../failure-report";
import { noteTransition, phaseSince, spanOf, storyOf, type Transition } from "../history";
import { patiently } from "../patience";
import { Watch } from "../watch";

const heartbeatMs = 20_000;

/** @throws Error that says what is left, when it is not gone at the deadline or the service refuses. */
export async function awaitGone(context: Context, id: string): Promise<void> {
  const { controlPlane, signal, clock } = context;
  const watch = new Watch(controlPlane, id, signal, clock);
  let history: readonly Transition[] = [];
  let last: MachineView | undefined;
  let said = clock.now();
  const note = (view: MachineView): void => {
    last = view;
    const next = noteTransition(history, view, clock.now());
    if (next === history) return;
    history = next;
    said = clock.now();
    context.log(wordsOf(view));
  };
  try {
    const options = { signal, idempotencyKey: context.newKey() };
    const answer = await patiently(context, () => controlPlane.deleteMachine(id, options));
    if (!answer) return;
    note(answer);
    while (last?.phase !== "destroyed") {
      if (signal.aborted) throw new Error(`it is not destroyed after ${spanOf(context.allowedMs)}`);
      if (last?.phase === "failed" && last.desiredState === "destroyed" && !last.retryable) {
        throw new Error(`it could not be destroyed: ${last.lastError ?? last.reason}`);
      }
      const view = await watch.next(heartbeatMs);
      if (view) note(view);
      else if (clock.now() - said >= heartbeatMs && last) {
        said = clock.now();
        context.log(`still ${wordsOf(last)} after ${spanOf(said - (phaseSince(history) ?? said))}`);
      }
    }
  } catch (error) {
    if (error instanceof MachineGoneError) return;
    const requestId = (error instanceof RefusedError ? error.requestId : undefined) ?? last?.requestId;
    throw new Error(
      `machine "${context.name}" (${id}) was not deleted: ${messageOf(error)}; seen: ${storyOf(history)}; ` +
        `${last ? `revision ${last.revision}, ` : ""}request id ${requestId ?? "not given"}. It stays in the stack: ` +
        `run the same command again`,
      { cause: error },
    );
  } finally {
    watch.close();
  }
}
