/** Compares a stack with its backend. Pure. */
import { tagNames } from "../controlplane/tags";
import { sameMachine } from "../machine/adopt";
import { entryFindings } from "./entry-findings";
import type { Finding } from "./finding";
import type { Survey } from "./survey";
import { isInState, isOver, unknownFindings, unknownIn } from "./unknown-machines";

export function compare(survey: Survey): Finding[] {
  const unknown = unknownFindings(survey);
  return [
    ...unknown,
    ...entryFindings(survey),
    ...pendingFindings(survey, unknown),
    ...journalFindings(survey),
    ...namesakeFindings(survey),
  ];
}

function pendingFindings({ state }: Survey, unknown: readonly Finding[]): Finding[] {
  const { pending, urns } = state;
  if (pending.length === 0) return [];
  const words = pending.map(({ type, name }) => `${type} "${name}"`).join(", ");
  const what = `the state has ${String(pending.length)} pending operation${pending.length === 1 ? "" : "s"}: ${words}`;
  const common = { kind: "pending_operation", severity: "fault", subject: "state", what } as const;
  const others = pending.filter(({ isMachine, urn }) => !isMachine && !urns.has(urn));
  const rest = `if no update runs now, it was interrupted`;
  if (others.length > 0) {
    const names = others.map(({ name }) => `"${name}"`).join(", ");
    return [{ ...common, next: `${rest}: "pulumi refresh" asks what became of ${names}` }];
  }
  const open = pending.filter(({ urn }) => !urns.has(urn)).map(({ name }) => name);
  const needs = unknown.flatMap(({ fix, subject }) =>
    fix?.do === "delete_machine" && open.includes(subject) ? [fix.machineId] : [],
  );
  const next =
    needs.length > 0
      ? `${rest}: the next "pulumi up" takes ${needs.join(", ")} up; the operation can be cleared after that, or with ${needs.length === 1 ? "it" : "them"} deleted`
      : `${rest}, and no machine is left of it: it can be cleared; "pulumi up" makes what is not there`;
  return [{ ...common, next, fix: { do: "clear_pending", needs } }];
}

/** Creates that never answered, and that no machine is behind any more. */
function journalFindings(survey: Survey): Finding[] {
  return survey.interrupted.flatMap(({ entry, look }): Finding[] => {
    const name = entry.urn?.slice(entry.urn.lastIndexOf("::") + 2) ?? "unnamed";
    const { key, machineId } = entry;
    const common = { severity: "fault", subject: name } as const;
    const isTagged = unknownIn(survey).some(({ tags }) => tags[tagNames.key] === key);
    if (look?.kind === "unasked" || isTagged) return [];
    const recorded = machineId !== undefined && isInState(survey, machineId);
    const over = look?.kind === "gone" || (look?.kind === "there" && look.machine && isOver(look.machine));
    if (look?.kind === "there" && !recorded && !over) return [];
    if (machineId === undefined && !survey.hasTags) {
      return [
        {
          ...common,
          kind: "interrupted_create",
          what: `a create of "${name}" was sent from this computer and its answer never came: a machine may exist, and nothing here tells`,
          next: `"pulumi up" of a program that has "${name}" finds it by its key, or makes it; "pulumi destroy" clears it away`,
        },
      ];
    }
    const end = recorded ? "its machine is in the state" : "no machine is behind it any more";
    return [
      {
        ...common,
        kind: "stale_journal",
        what: `this computer's create journal has an unfinished create of "${name}", and ${end}`,
        next: `nothing has to be done; --fix closes the entry`,
        fix: { do: "close_journal", key, as: recorded ? "recorded" : "gone" },
      },
    ];
  });
}

function namesakeFindings({ namesakes, state }: Survey): Finding[] {
  const others = namesakes.filter(
    (machine) => !isOver(machine) && !state.entries.some(({ id }) => sameMachine(id, machine.id)),
  );
  if (others.length === 0) return [];
  const ids = others.slice(0, 10).map(({ id, tags }) => `${id} ("${tags[tagNames.resource] ?? "?"}")`);
  const more = others.length > 10 ? ` and ${String(others.length - 10)} more` : "";
  return [
    {
      kind: "namesake",
      severity: "note",
      subject: others[0]?.id ?? "",
      what: `${ids.join(", ")}${more} ${others.length === 1 ? "has" : "have"} the names of this project and stack, and the identity of another one`,
      next:
        `they are of a stack with the same names somewhere else, or of this one before it was removed with its machines; ` +
        `doctor leaves them alone`,
    },
  ];
}
