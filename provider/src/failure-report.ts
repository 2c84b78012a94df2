/** What a person reads when a deploy fails: one item a line, most important first. Pure. */
import { MachineGoneError, RefusedError, type MachineView } from "./controlplane/port";
import { wordsOf, type ConvergenceError } from "./converge";
import { oneLine } from "./one-line";
import { phaseSince, spanOf, storyOf } from "./history";

export interface ReportContext {
  /** The resource's name in the program. */
  name: string;
  backend: string;
  allowedMs: number;
  nowMs: number;
  operation: "create" | "update" | "delete";
}

const again = `"pulumi up" tries again, "pulumi destroy" removes the machine; it stays in the stack until then`;

/** The lines of a failed convergence. */
export function reportOf(error: ConvergenceError, context: ReportContext): string[] {
  const { view, history } = error;
  const lines = [
    headline(error, context),
    `phase ${view.phase}, reason ${view.reason || "not given"}, retryable: ${view.retryable ? "yes" : "no"}, ` +
      `last_error: ${view.lastError ?? "none"}`,
    `revision ${view.revision || "not given"}, desired state ${view.desiredState}, backend ${context.backend}` +
      requestIds(error),
    `seen: ${storyOf(history)}`,
    `next: ${nextOf(error, context)}`,
  ];
  return lines.map(oneLine);
}

function requestIds({ view, facts }: ConvergenceError): string {
  const id = (facts.cause instanceof RefusedError ? facts.cause.requestId : undefined) ?? view.requestId;
  return `, request id ${id ?? "not given"}`;
}

function headline(error: ConvergenceError, context: ReportContext): string {
  const { view, facts, history } = error;
  const machine = `machine "${context.name}" (${view.id})`;
  switch (error.kind) {
    case "failed": {
      const before = history.at(-2)?.phase;
      return `${machine} failed${before && before !== "accepted" ? ` after ${before}` : ""}: ${view.lastError ?? view.reason}`;
    }
    case "gone":
      return `${machine} was destroyed by somebody else while it was on its way to ${facts.goal}`;
    case "disk_too_large":
      return `${machine} has a disk of ${String(view.storageGiB)} GiB, more than was asked for: a disk never shrinks`;
    case "refused":
      return `${machine} could not be changed: ${messageOf(facts.cause)}`;
    case "deadline": {
      const stuck = spanOf(context.nowMs - (phaseSince(history) ?? context.nowMs));
      return (
        `${machine} is not ${facts.goal} after ${spanOf(context.allowedMs)}: ` +
        `${wordsOf(view)} for ${stuck} now` +
        (facts.refused === undefined ? "" : `; the service refuses for now: ${facts.refused}`)
      );
    }
  }
}

function nextOf(error: ConvergenceError, context: ReportContext): string {
  const { view, facts } = error;
  switch (error.kind) {
    case "failed": {
      const retried =
        facts.retriesUsed > 0
          ? `retried ${String(facts.retriesUsed)} of ${String(facts.retriesUsed + facts.retriesLeft)} times (argument "failure"); `
          : "";
      const why = view.retryable
        ? "the service calls this failure retryable"
        : "the service says that trying again will not help: mend what last_error names first";
      return `${retried}${why}; ${again}`;
    }
    case "gone":
      return `"pulumi refresh" takes it out of the stack, the next "pulumi up" makes a new one`;
    case "disk_too_large":
      return `ask for at least ${String(view.storageGiB)} GiB, or replace the machine (argument "replaceOnStorageShrink")`;
    case "refused":
      return again;
    case "deadline":
      return `the machine may still get there; ${again}; allow more time with timeouts: { ${context.operation}: "30m" }`;
  }
}

/** The words of any failure, without a stack. */
export function messageOf(error: unknown): string {
  if (error instanceof MachineGoneError) return "it does not exist any more";
  return error instanceof Error ? error.message : String(error);
}

/** The lines for a failure that is not of the convergence, when the machine is known to exist. */
export const reportOther = (
  error: unknown,
  view: Pick<MachineView, "id">,
  context: ReportContext,
): string[] =>
  [
    `machine "${context.name}" (${view.id}): ${messageOf(error)}`,
    `backend ${context.backend}${error instanceof RefusedError && error.requestId ? `, request id ${error.requestId}` : ""}`,
    `next: ${again}`,
  ].map(oneLine);
