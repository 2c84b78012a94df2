/** Why a machine sleeps, or goes to sleep. Pure. */
import type { MachineDetails } from "../controlplane/port";
import { sleepsByItself } from "../machine/falls-asleep";
import { causeOf, type Cause } from "./cause";
import { byWhom, called, limitWords, noHistory } from "./cause-words";
import type { Explanation } from "./sentence";
import type { Situation } from "./situation";
import { clockTime, whenText } from "./times";

export function asleep(situation: Situation, machine: MachineDetails): Explanation {
  const said = whyAsleep(situation, machine, "sleeps");
  return { ...said, sentence: `${said.sentence}; ${toWake(situation)}.` };
}

export function goingToSleep(situation: Situation, machine: MachineDetails): Explanation {
  const said = whyAsleep(situation, machine, "is going to sleep");
  return { code: said.code.replace(/^asleep/, "going_to_sleep"), sentence: `${said.sentence}.` };
}

function whyAsleep(situation: Situation, machine: MachineDetails, verb: string): Explanation {
  const { entry, nowMs } = situation;
  const machineText = called(situation);
  const cause = causeOf(situation, "sleeping") ?? statedBy(situation, machine);
  if (cause?.limit !== undefined) {
    const words = limitWords(cause.limit, situation);
    const idle = cause.limit === "timeout" ? "" : " and nobody has used it since";
    const what = `${words} ended ${whenText(cause.event.occurredAt, nowMs)}${idle}`;
    return { code: `asleep_${cause.limit}`, sentence: `${machineText} ${verb} because ${what}` };
  }
  if (cause === undefined) return notTold(situation, machine, verb);
  const at = clockTime(cause.event.occurredAt, nowMs);
  if (cause.actor.kind === "service") {
    const said = cause.event.reason;
    const likely = sleepsByItself(machine, undefined)
      ? `: most likely ${limitWords("autosleep", situation)}`
      : "";
    const reason = said === undefined ? `without a reason${likely}` : `for this reason: ${said}`;
    const sentence = `${machineText} ${verb} because the service put it to sleep at ${at}, ${reason}`;
    return { code: "asleep_service", sentence };
  }
  if (entry?.outputs.desiredState === "sleeping" && cause.actor.kind !== "somebody") {
    const sentence = `${machineText} ${verb} because this stack asks for it (desiredState "sleeping"), since ${at}`;
    return { code: "asleep_asked", sentence };
  }
  const against =
    entry?.outputs.desiredState === "running" ? ", although the stack asks for a running one" : "";
  const sentence = `${machineText} ${verb} because it was put to sleep at ${at} ${byWhom(cause.actor, nowMs)}${against}`;
  return { code: `asleep_by_${cause.actor.kind}`, sentence };
}

/** Without a history, the machine's own reason may still say it. */
function statedBy(
  { events }: Situation,
  { reason, lastTransitionAt, id }: MachineDetails,
): Cause | undefined {
  const limit = (["autosleep", "inactivity_timeout", "timeout"] as const).find((name) => name === reason);
  if (events !== undefined || limit === undefined || lastTransitionAt === undefined) return undefined;
  const event = { id: "", operation: "hibernate", status: "succeeded", actorKind: "system", machineId: id };
  return {
    event: { ...event, occurredAt: lastTransitionAt, metadata: {} },
    actor: { kind: "service" },
    limit,
  };
}

function notTold(situation: Situation, machine: MachineDetails, verb: string): Explanation {
  const { entry, backend, events, nowMs } = situation;
  const since =
    machine.lastTransitionAt === undefined ? "" : ` since ${clockTime(machine.lastTransitionAt, nowMs)}`;
  const machineText = `${called(situation)} ${verb}${since}`;
  if (entry?.outputs.desiredState === "sleeping") {
    const sentence = `${machineText} because this stack asks for it (desiredState "sleeping")`;
    return { code: "asleep_asked", sentence };
  }
  const why = events === undefined ? noHistory(backend) : "its history has no word of it (any more)";
  const own = sleepsByItself(machine, machine.lifetime ?? entry?.outputs.lifetime);
  const guess = own
    ? `so nothing tells ${limitWords("autosleep", situation)} from a sleep that somebody asked for`
    : "and it has no autosleep, so somebody put it to sleep";
  return { code: "asleep_untold", sentence: `${machineText}: ${why}, ${guess}` };
}

/** What brings it back. */
function toWake({ backend, entry, foundBy, sight }: Situation): string {
  const outputs = entry?.outputs ?? {};
  if (outputs.desiredState === "sleeping") {
    return 'for a running one, set desiredState to "running" and run "pulumi up"';
  }
  const asked = outputs.autoResume;
  // Dedalus always wakes; elsewhere the adapters ask for it wherever a machine may sleep, unless the program says otherwise.
  if (backend === "dedalus" || asked === true) return "a command in it wakes it";
  if (asked === false) return "no use wakes it (autoResume), only a call to wake it";
  const ephemeral = sight.kind === "there" && sight.machine.ephemeral === true;
  // A machine that was taken over, or is no one's of the stack, has settings of its own.
  return entry !== undefined && foundBy === undefined && outputs.adopt === undefined && !ephemeral
    ? "a command in it wakes it"
    : "a call to wake it does, and a command where its autoResume is set";
}
