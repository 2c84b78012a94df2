/** Machines of a stack that its state does not know: left by an interrupted create, let go, or copies. Pure. */
import type { MachineDetails } from "../controlplane/port";
import { tagNames } from "../controlplane/tags";
import { createKey } from "../identity";
import { sameMachine } from "../machine/adopt";
import { keyOf } from "../machine/sighting";
import { lineageOf } from "../machine/state";
import type { Finding } from "./finding";
import type { Survey } from "./survey";

export const isOver = ({ phase, desiredState }: MachineDetails): boolean =>
  phase === "destroyed" || phase === "destroying" || desiredState === "destroyed";

export const isInState = ({ state }: Pick<Survey, "state">, id: string): boolean =>
  state.entries.some((entry) => sameMachine(entry.id, id));

/** Alive, tagged with the stack's identity, and not in its state. */
export const unknownIn = (survey: Pick<Survey, "state" | "tagged">): MachineDetails[] =>
  survey.tagged.filter((machine) => !isOver(machine) && !isInState(survey, machine.id));

export function unknownFindings(survey: Survey): Finding[] {
  const tagged = unknownIn(survey).map((machine) => findingOf(survey, machine));
  const known = new Set(survey.tagged.map(({ id }) => id));
  // Where there are no tags, only this computer's journal knows of a machine.
  const remembered = survey.interrupted.flatMap(({ entry, look }) => {
    const machine = look?.kind === "there" ? look.machine : undefined;
    if (!machine || known.has(machine.id) || isOver(machine) || isInState(survey, machine.id)) return [];
    return [interruptedFinding(nameIn(entry.urn) ?? machine.id, machine, entry.key)];
  });
  return [...tagged, ...remembered];
}

const nameIn = (urn: string | undefined): string | undefined => urn?.slice(urn.lastIndexOf("::") + 2);

function findingOf(survey: Survey, machine: MachineDetails): Finding {
  const { tags, id, phase } = machine;
  const name = tags[tagNames.resource] ?? id;
  const key = tags[tagNames.key];
  const original = originalOf(survey, machine);
  if (original !== undefined) {
    return {
      kind: "fork",
      severity: "note",
      subject: id,
      what: `machine ${id} (${phase}) is a fork of ${original}, and has its tags: it is not this stack's by that`,
      next: `take it over with ${adoptLine(id)} in a Machine of its own, or delete it where it was made`,
    };
  }
  const remembered = key === undefined ? undefined : survey.journal.get(key);
  const fix = { do: "delete_machine", machineId: id, ...(key === undefined ? {} : { key }) } as const;
  const either = `take it over with ${adoptLine(id)} in the arguments of a Machine, or delete it`;
  if (remembered?.recorded) {
    return {
      kind: "let_go_machine",
      severity: "fault",
      subject: name,
      what:
        `machine ${id} (${phase}) was "${name}" of this stack, and its state does not have it any more: kept by retainOnDelete, ` +
        `or taken out with "pulumi state delete"`,
      next: either,
      fix,
      mustBeNamed: true,
    };
  }
  const neverAnswered = remembered !== undefined && !remembered.answered;
  if (neverAnswered || isPending(survey, name, key)) return interruptedFinding(name, machine, key);
  return {
    kind: "unknown_machine",
    severity: "fault",
    subject: name,
    what: `machine ${id} (${phase}) has the tags of "${name}" of this stack, and its state does not know it`,
    next: either,
    fix,
    mustBeNamed: true,
  };
}

/** Machines that a resource may have had in its life, at most. */
const mostGenerations = 200;

/** True when the state has a pending create that made this machine: one that comes after all that it knows. */
function isPending({ state }: Survey, name: string, key: string | undefined): boolean {
  const { identity } = state;
  return state.pending.some(({ urn, type, isMachine, name: pending }) => {
    if (!isMachine || type !== "creating" || pending !== name) return false;
    if (identity === undefined || key === undefined) return true;
    const known = state.entries.filter((entry) => entry.urn === urn).map((entry) => lineageOf(entry.outputs));
    const first = Math.max(-1, ...known.map((lineage) => lineage?.generation ?? -1)) + 1;
    const generations = Array.from({ length: mostGenerations }, (_, at) => first + at);
    return generations.some((generation) => createKey({ stackIdentity: identity, urn }, generation) === key);
  });
}

function interruptedFinding(name: string, { id, phase }: MachineDetails, key: string | undefined): Finding {
  return {
    kind: "unknown_machine",
    severity: "fault",
    subject: name,
    what: `machine ${id} (${phase}) was made for "${name}" by a create that was interrupted, and the state does not know it`,
    next:
      `if no "pulumi up" runs now: the next one takes it up where the program still has "${name}"; ` +
      `else take it over with ${adoptLine(id)}, or delete it`,
    fix: { do: "delete_machine", machineId: id, ...(key === undefined ? {} : { key }) },
  };
}

const adoptLine = (id: string): string => `adopt: ${JSON.stringify(id)}`;

/** The machine that this one is a copy of, tags and all; undefined when nothing says that it is one. */
function originalOf(survey: Survey, { id, tags, createdAt = "" }: MachineDetails): string | undefined {
  const { state, tagged, journal, copiedFrom } = survey;
  const key = tags[tagNames.key];
  if (key === undefined) return copiedFrom.get(id);
  const inState = state.entries.find((entry) => keyOf(entry.outputs) === key && !sameMachine(entry.id, id));
  if (inState) return inState.id;
  const remembered = journal.get(key)?.machineId;
  if (remembered !== undefined) return sameMachine(remembered, id) ? undefined : remembered;
  const older = tagged.find(
    (other) => other.id !== id && other.tags[tagNames.key] === key && (other.createdAt ?? "") < createdAt,
  );
  if (older) return older.id;
  const source = copiedFrom.get(id);
  if (source === undefined) return undefined;
  // A machine that the stack itself made as a copy has a key of its own.
  const parent = tagged.find((other) => sameMachine(other.id, source));
  return parent && parent.tags[tagNames.key] !== key ? undefined : source;
}
