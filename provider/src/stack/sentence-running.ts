/** Why a machine runs, or does not run yet. Pure. */
import type { MachineDetails } from "../controlplane/port";
import { causeOf, type Cause } from "./cause";
import { byWhom, called, noHistory } from "./cause-words";
import { driftOf, setsBack } from "./compare-entry";
import type { Explanation } from "./sentence";
import type { Situation } from "./situation";
import { ago, clockTime } from "./times";

export function running(situation: Situation, machine: MachineDetails): Explanation {
  const { entry } = situation;
  const why = whyRunning(situation, machine);
  const drift = entry ? driftOf(machine, entry) : { sizes: [], settings: [], lifetime: [] };
  if (drift.desire) {
    const sentence = `${why.sentence}, although this stack asks for a sleeping one; "pulumi up --refresh" puts it to sleep.`;
    return { code: "running_against_stack", sentence };
  }
  const changed = [...drift.sizes, ...drift.settings, ...drift.lifetime];
  if (changed.length > 0) {
    const code = drift.sizes.length > 0 ? "running_resized" : "running_changed";
    const verb = drift.sizes.length > 0 ? "was resized" : "was changed";
    const sentence = `${why.sentence}; it ${verb} outside of this stack, to ${changed.join(", ")}: ${setsBack}.`;
    return { code, sentence };
  }
  const [error] = entry?.initErrors ?? [];
  if (error !== undefined) {
    const sentence = `${why.sentence}, but the stack's last operation on it failed: ${error.replace(/\.$/, "")}; the next "pulumi up" looks again.`;
    return { code: "running_after_failure", sentence };
  }
  return { ...why, sentence: `${why.sentence}.` };
}

function whyRunning(situation: Situation, machine: MachineDetails): Explanation {
  const { nowMs, backend, events } = situation;
  const since = machine.lastTransitionAt ?? causeOf(situation, "running")?.event.occurredAt;
  const base = `${called(situation)} runs${since === undefined ? "" : ` since ${clockTime(since, nowMs)}`}`;
  const cause = causeOf(situation, "running");
  if (cause === undefined) {
    const why = events === undefined ? noHistory(backend) : "its history has no word of its start (any more)";
    return { code: "running_untold", sentence: `${base}; ${why}, so nothing tells who started it` };
  }
  const { code, words } = startOf(cause, nowMs);
  return { code, sentence: `${base}: ${words}` };
}

function startOf(cause: Cause, nowMs: number): { code: string; words: string } {
  const { event, actor } = cause;
  const at = clockTime(event.occurredAt, nowMs);
  const reason = event.reason === undefined || event.reason === "requested" ? "" : ` (${event.reason})`;
  switch (event.operation) {
    case "create":
      return { code: "running_made", words: `it was made at ${at} ${byWhom(actor, nowMs)}` };
    case "fork": {
      const source = event.sourceMachineId === undefined ? "another machine" : event.sourceMachineId;
      return {
        code: "running_forked",
        words: `it was made at ${at} as a copy of ${source}, ${byWhom(actor, nowMs)}`,
      };
    }
    case "reconcile":
      return {
        code: "running_recovered",
        words: `its processes had ended, and the service started it again at ${at}${reason}`,
      };
    default:
      return actor.kind === "service"
        ? { code: "running_woken_by_use", words: `its use woke it at ${at}${reason}` }
        : { code: "running_woken", words: `it was woken at ${at} ${byWhom(actor, nowMs)}` };
  }
}

const waits: Record<string, string> = {
  accepted: "for the service to begin with it",
  placement_pending: "for room on a host",
  starting: "for its start",
};

export function starting(situation: Situation, machine: MachineDetails): Explanation {
  const { nowMs } = situation;
  const { phase, reason, lastTransitionAt, desiredState } = machine;
  const since =
    lastTransitionAt === undefined
      ? ""
      : `, ${ago(lastTransitionAt, nowMs)
          .replace(/^just now$/, "only now")
          .replace(/^(.*) ago$/, "for $1 now")}`;
  const said = reason === "" || reason === phase ? "" : ` (${phase}: ${reason})`;
  const cause = causeOf({ ...situation, events: begun(situation) }, "running");
  const who = cause === undefined ? "" : `; ${startOf(cause, nowMs).words}`;
  const other = desiredState === "running" ? "" : `; it is wanted ${desiredState}`;
  return {
    code: `waiting_${phase}`,
    sentence: `${called(situation)} is not running yet: it waits ${waits[phase] ?? "for the service"}${said}${since}${who}${other}.`,
  };
}

/** What was asked for and has not ended. */
const begun = ({ events = [] }: Situation): Situation["events"] & object =>
  events.filter(({ status }) => status === "requested");
