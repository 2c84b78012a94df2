/** Why a machine is not there any more, or soon will not be. Pure. */
import { causeOf } from "./cause";
import { byWhom, called, lastSeen, limitWords, noHistory } from "./cause-words";
import type { Explanation } from "./sentence";
import type { Situation } from "./situation";
import { whenText } from "./times";

export function gone(situation: Situation): Explanation {
  const { code, sentence } = whyGone(situation, "was destroyed");
  return { code, sentence: `${sentence}${afterwards(situation)}.` };
}

export function beingDestroyed(situation: Situation): Explanation {
  const { code, sentence } = whyGone(situation, "is being destroyed, asked for");
  return { code: code.replace(/^(destroyed|gone)/, "destroying"), sentence: `${sentence}.` };
}

function whyGone(situation: Situation, verb: string): Explanation {
  const { nowMs, entry, events, backend } = situation;
  const machine = called(situation);
  const cause = causeOf(situation, "destroyed");
  if (cause === undefined) {
    const why = events === undefined ? noHistory(backend) : "its history has no word of its end (any more)";
    const seen = entry === undefined ? "" : `; ${lastSeen(situation)}`;
    const what = verb === "was destroyed" ? "does not exist" : "is being destroyed";
    return {
      code: "gone_untold",
      sentence: `${machine} ${what}: ${why}, so nothing tells who destroyed it or when${seen}`,
    };
  }
  const at = whenText(cause.event.occurredAt, nowMs);
  if (cause.limit !== undefined) {
    const words = limitWords(cause.limit, situation);
    return {
      code: `destroyed_${cause.limit}`,
      sentence: `${machine} ${verb} ${at} because ${words} was over`,
    };
  }
  if (cause.actor.kind === "service") {
    const reason =
      cause.event.reason === undefined ? "without a reason" : `for this reason: ${cause.event.reason}`;
    return {
      code: "destroyed_service",
      sentence: `${machine} ${verb} ${at} by the service itself, ${reason}`,
    };
  }
  return {
    code: `destroyed_by_${cause.actor.kind}`,
    sentence: `${machine} ${verb} ${at} ${byWhom(cause.actor, nowMs)}`,
  };
}

/** The state that still has it is what surprises next. */
const afterwards = ({ entry }: Situation): string =>
  entry === undefined
    ? ""
    : entry.isReplaced
      ? `; the state only has it until the next "pulumi up", as the one that was replaced`
      : `; "pulumi refresh" takes it out of the state, then "pulumi up" makes a new one`;
