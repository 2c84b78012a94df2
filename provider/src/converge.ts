/**
 * The loop that makes a machine what was asked for: look, ask `nextStep`, act, and say what happens. It has no
 * opinions of its own about phases.
 */
import type { Context } from "./context";
import { MachineGoneError, RefusedError, type MachineView } from "./controlplane/port";
import { called, nextStep, seen, type Call, type Course, type Goal, type Step } from "./convergence";
import { noteTransition, phaseSince, spanOf, type Transition } from "./history";
import { pauseAfter } from "./patience";
import { isOlder, Watch } from "./watch";

const heartbeatMs = 20_000;

export type FailureKind = "failed" | "gone" | "disk_too_large" | "deadline" | "refused";

/** The machine did not become what was asked for. Holds what a person needs to know; see failure-report.ts. */
export class ConvergenceError extends Error {
  override readonly name = "ConvergenceError";
  constructor(
    readonly kind: FailureKind,
    readonly view: MachineView,
    readonly history: readonly Transition[],
    readonly facts: {
      goal: string;
      retriesUsed: number;
      retriesLeft: number;
      /** Why the service has refused the last call, where it did and may take it later. */
      refused?: string;
      cause?: unknown;
    },
  ) {
    super(`machine ${view.id}: ${kind} on the way to ${facts.goal}`, { cause: facts.cause });
  }
}

export interface Start {
  view: MachineView;
  /** An earlier look, such as the answer that accepted the machine: part of what was seen. */
  before?: MachineView | undefined;
  /** How many retryable failures are answered by stating the desire again. */
  retries: number;
  /** True when the machine may have failed before this operation: that failure is answered once, uncounted. */
  mayRepair: boolean;
}

class Convergence {
  private view: MachineView;
  private course: Course;
  private history: readonly Transition[] = [];
  private refusals = 0;
  private lastRefusal: string | undefined;
  private spokenAt = 0;
  private readonly watch: Watch;

  constructor(
    private readonly context: Context,
    private readonly goal: Goal,
    start: Start,
  ) {
    this.view = start.view;
    this.course = { retriesLeft: start.retries, retriesUsed: 0, mayRepair: start.mayRepair, hasRun: false };
    this.watch = new Watch(context.controlPlane, start.view.id, context.signal, context.clock);
    if (start.before) this.look(start.before);
    this.look(start.view);
  }

  async run(): Promise<MachineView> {
    try {
      for (;;) {
        this.course = seen(this.course, this.view);
        const step = nextStep(this.view, this.goal, this.course);
        if (step.step === "finish") return this.view;
        if (step.step === "fail") throw this.failure(step.because);
        if (this.context.signal.aborted) throw this.failure("deadline");
        if (step.step === "wait") await this.wait();
        else await this.act(step);
      }
    } finally {
      this.watch.close();
    }
  }

  private async wait(): Promise<void> {
    try {
      const view = await this.watch.next(heartbeatMs);
      if (view) this.look(view);
      else this.heartbeat();
    } catch (error) {
      this.mustGoOn(error);
    }
  }

  private async act(step: Step & { step: "call" }): Promise<void> {
    const { context } = this;
    if (step.spends === "retry") {
      const of = this.course.retriesUsed + this.course.retriesLeft;
      const which = `retry ${String(this.course.retriesUsed + 1)} of ${String(of)}`;
      this.say(`failed: ${wordsOf(this.view)}; ${which} in ${spanOf(step.afterMs)}`);
    } else if (step.spends === "repair") {
      this.say(`failed before: ${wordsOf(this.view)}; trying again`);
    }
    if (step.afterMs > 0) {
      const jittered = step.afterMs * (0.75 + context.random() / 4);
      await context.clock.sleep(jittered, context.signal);
      if (context.signal.aborted) return;
    }
    const before = this.view;
    try {
      const answer = await this.call(step.call);
      this.course = called(this.course, step, before);
      this.refusals = 0;
      this.lastRefusal = undefined;
      this.watch.expectNews();
      this.look(answer);
    } catch (error) {
      await this.refused(error, step, before);
    }
  }

  private call(call: Call): Promise<MachineView> {
    const { controlPlane, signal } = this.context;
    const options = { signal, idempotencyKey: this.context.newKey() };
    const { id } = this.view;
    if (call.do === "resize") return controlPlane.updateMachine(id, call.change, options);
    return call.do === "wake"
      ? controlPlane.wakeMachine(id, options)
      : controlPlane.sleepMachine(id, options);
  }

  /** A refusal that time heals is waited out; one that another phase heals waits for it; the rest ends here. */
  private async refused(error: unknown, step: Step & { step: "call" }, before: MachineView): Promise<void> {
    const { context } = this;
    if (context.signal.aborted) return;
    if (error instanceof RefusedError && !error.retryable && error.code === "INVALID_STATE") {
      this.say(`${step.call.do} is not possible while ${this.view.phase}: ${error.message}`);
      this.course = called(this.course, { ...step, spends: "nothing" }, before);
      return;
    }
    this.mustGoOn(error);
    const pause = pauseAfter(error, this.refusals, context);
    if (pause === undefined) throw this.failure("refused", error);
    this.refusals += 1;
    this.lastRefusal = (error as RefusedError).message;
    this.say(`${(error as RefusedError).message}; trying again in ${spanOf(pause)}`);
    await context.clock.sleep(pause, context.signal);
    if (context.signal.aborted) return;
    try {
      this.look(await context.controlPlane.getMachine(this.view.id, { signal: context.signal }));
    } catch (again) {
      this.mustGoOn(again);
    }
  }

  /** Throws unless the error is a refusal that time heals, or the deadline's own doing. */
  private mustGoOn(error: unknown): void {
    if (this.context.signal.aborted) return;
    if (error instanceof MachineGoneError) throw this.failure("gone", error);
    if (error instanceof RefusedError && error.retryable) return;
    throw this.failure("refused", error);
  }

  private look(view: MachineView): void {
    if (this.history.length > 0 && isOlder(view, this.view)) return;
    // Events carry no request id: the last request that was answered is what the service can be asked about.
    const requestId = view.requestId ?? this.view.requestId;
    this.view = requestId === undefined ? view : { ...view, requestId };
    const history = noteTransition(this.history, view, this.context.clock.now());
    if (history === this.history) return;
    this.history = history;
    this.say(wordsOf(view));
  }

  private heartbeat(): void {
    const now = this.context.clock.now();
    if (this.context.signal.aborted || now - this.spokenAt < heartbeatMs) return;
    this.say(`still ${wordsOf(this.view)} after ${spanOf(now - (phaseSince(this.history) ?? now))}`);
  }

  private say(line: string): void {
    this.spokenAt = this.context.clock.now();
    this.context.log(line);
  }

  private failure(kind: FailureKind, cause?: unknown): ConvergenceError {
    const { retriesUsed, retriesLeft } = this.course;
    const refused = this.lastRefusal === undefined ? {} : { refused: this.lastRefusal };
    const facts = { goal: this.goal.state, retriesUsed, retriesLeft, ...refused };
    return new ConvergenceError(kind, this.view, this.history, cause ? { ...facts, cause } : facts);
  }
}

/** "starting (image_pull)", with the service's own words on a failure. */
export function wordsOf(view: MachineView): string {
  const reason = view.reason === "" || view.reason === view.phase ? "" : ` (${view.reason})`;
  const error = view.lastError && view.phase === "failed" ? `: ${view.lastError}` : "";
  return `${view.phase}${reason}${error}`;
}

/**
 * Resolves with the machine as it was asked for.
 * @throws ConvergenceError when it failed for good, is gone, was refused, or the deadline came.
 */
export const converge = (context: Context, goal: Goal, start: Start): Promise<MachineView> =>
  new Convergence(context, goal, start).run();
