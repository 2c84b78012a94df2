/** Entries of a state, against what the backend has of them. Pure. */
import type { MachineDetails } from "../controlplane/port";
import { wordsOf } from "../converge";
import { driftOf, isDrift, repairCommand, setsBack } from "./compare-entry";
import type { Finding } from "./finding";
import type { Entry } from "./stack-state";
import type { Survey } from "./survey";
import { isOver } from "./unknown-machines";

export function entryFindings(survey: Survey): Finding[] {
  return [...survey.state.entries.flatMap((entry) => ofEntry(survey, entry)), ...elsewhere(survey)];
}

function ofEntry({ looks, backend }: Survey, entry: Entry): Finding[] {
  const look = looks.get(entry.id);
  if (look?.kind === "gone") return [missing(entry, backend)];
  if (look?.kind !== "there" || !look.machine || entry.isReplaced) return [];
  if (isOver(look.machine)) return [goingAway(entry, look.machine)];
  return entry.isRead ? [] : ofMachine(entry, look.machine);
}

function missing({ noun, name, id, urn, isRead, isReplaced }: Entry, backend: string): Finding {
  const what = `the state has ${noun} "${name}" (${id}), and the backend "${backend}" has not`;
  const common = { kind: "missing", subject: name, what } as const;
  if (isRead) {
    const next = `the program reads it with get: give it the id of one that is there, or take it out of the program`;
    return { ...common, severity: "fault", next };
  }
  if (isReplaced) {
    const next = `it was replaced; the next "pulumi up" takes its entry out of the state`;
    return { ...common, severity: "note", next };
  }
  const next =
    `"pulumi refresh" takes it out of the state, then "pulumi up" makes a new one; where the endpoint is another one than at the ` +
    `deploy, set that back instead`;
  return {
    ...common,
    severity: "fault",
    next,
    fix: { do: "remove_entry", urn },
  };
}

function goingAway({ name, id }: Entry, { phase }: MachineDetails): Finding {
  return {
    kind: "destroying",
    severity: "fault",
    subject: name,
    what: `machine "${name}" (${id}) is ${phase}: somebody asked for its end`,
    next: `"pulumi-machines why ${name}" says who; once it is gone, "pulumi refresh" takes it out of the state`,
  };
}

function ofMachine(entry: Entry, machine: MachineDetails): Finding[] {
  const { name, id, initErrors } = entry;
  const subject = name;
  const findings: Finding[] = [];
  if (machine.phase === "failed") {
    const help = machine.retryable
      ? "the service calls it retryable"
      : "the service says that trying again will not help: mend what it names first";
    const next = `${help}; "${repairCommand(entry)}" repairs it, "pulumi-machines why ${name}" tells more`;
    const what = `machine "${name}" (${id}) is ${wordsOf(machine)}`;
    findings.push({ kind: "failed", severity: "fault", subject, what, next });
  } else if (initErrors.length > 0) {
    const what = `the stack's last operation on machine "${name}" (${id}) failed: ${initErrors[0] ?? ""}`;
    findings.push({
      kind: "unfinished",
      severity: "fault",
      subject,
      what,
      next: `"pulumi up" goes on with it`,
    });
  }
  const drift = driftOf(machine, entry);
  if (!isDrift(drift)) return findings;
  const { sizes, settings, lifetime, desire } = drift;
  const changes = [...sizes, ...settings, ...lifetime];
  const lines = [
    ...(changes.length > 0 ? [`it has ${changes.join(", ")}`] : []),
    ...(desire ? [`it is wanted ${desire.has}, and the stack asks for ${desire.asked}`] : []),
  ];
  const what = `machine "${name}" (${id}) was changed outside of this stack: ${lines.join("; ")}`;
  const next = `${setsBack}; to keep it, change the program to that`;
  findings.push({ kind: "drift", severity: "fault", subject, what, next });
  return findings;
}

/** One for each backend, whatever the number of entries. */
function elsewhere({ state, looks, backend }: Survey): Finding[] {
  const byBackend = new Map<string, string[]>();
  for (const { id, name } of state.entries) {
    const look = looks.get(id);
    if (look?.kind === "elsewhere")
      byBackend.set(look.backend, [...(byBackend.get(look.backend) ?? []), name]);
  }
  return [...byBackend].map(([other, names]) => ({
    kind: "other_backend",
    severity: "fault",
    subject: other,
    what: `${names.slice(0, 20).join(", ")} ${names.length === 1 ? "was" : "were"} deployed to the backend "${other}", and the stack is set to "${backend}"`,
    next: `set it back with "pulumi config set machines:backend ${other}", and deploy to "${backend}" from a stack of its own`,
  }));
}
