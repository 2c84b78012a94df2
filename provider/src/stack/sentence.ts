/**
 * Why a machine is as it is: one sentence that ends with what to do. Pure. The code beside it names the case and stays the
 * same over versions; the words may change.
 */
import type { MachineDetails } from "../controlplane/port";
import { called, lastSeen } from "./cause-words";
import { asleep, goingToSleep } from "./sentence-asleep";
import { failed } from "./sentence-failed";
import { beingDestroyed, gone } from "./sentence-gone";
import { running, starting } from "./sentence-running";
import { unmade } from "./sentence-unmade";
import type { Situation } from "./situation";

export interface Explanation {
  code: string;
  sentence: string;
}

export function explain(situation: Situation): Explanation {
  const { entry, backend, sight } = situation;
  const made = entry?.outputs.__backend;
  if (typeof made === "string" && made !== backend) {
    return {
      code: "other_backend",
      sentence:
        `${called(situation)} is on the backend "${made}", and this stack is set to "${backend}", which knows nothing of it; ` +
        `set it back with: pulumi config set machines:backend ${made}.`,
    };
  }
  switch (sight.kind) {
    case "unasked":
      return {
        code: "unasked",
        sentence: `${called(situation)} cannot be looked at now: ${sight.why.replace(/\.$/, "")}; ${lastSeen(situation)}.`,
      };
    case "none":
      return unmade(situation);
    case "gone":
      return gone(situation);
    case "there":
      return present(situation, sight.machine);
  }
}

function present(situation: Situation, machine: MachineDetails): Explanation {
  const said = ofPhase(situation, machine);
  return situation.foundBy === "tags" || situation.foundBy === "journal"
    ? { code: "not_recorded", sentence: `${said.sentence} ${notRecorded(situation)}` }
    : said;
}

function ofPhase(situation: Situation, machine: MachineDetails): Explanation {
  switch (machine.phase) {
    case "failed":
      return failed(situation, machine);
    case "sleeping":
      return asleep(situation, machine);
    case "stopping":
      return goingToSleep(situation, machine);
    case "running":
      return running(situation, machine);
    case "accepted":
    case "placement_pending":
    case "starting":
      return starting(situation, machine);
    case "destroying":
      return beingDestroyed(situation);
    case "destroyed":
      return gone(situation);
    default: {
      const reason = machine.reason === "" ? "" : `, and says why: ${machine.reason}`;
      const sentence = `${called(situation)} is in a phase that this version does not know, "${machine.phase}"${reason}.`;
      return { code: "unknown_phase", sentence };
    }
  }
}

/** The machine is there and this stack's state does not have it. */
function notRecorded({ pending, foundBy }: Situation): string {
  const how =
    foundBy === "tags" ? "its tags say that it is this stack's" : "this computer's create journal has it";
  const why =
    pending === undefined
      ? `The state of this stack does not have it, although ${how}`
      : `The state of this stack does not have it yet: a "pulumi up" was interrupted in its create, or still runs (${how})`;
  return `${why}; the next "pulumi up" of a program that has it takes it up, "pulumi-machines doctor --fix" can delete it.`;
}
