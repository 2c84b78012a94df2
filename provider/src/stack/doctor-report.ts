/** What `doctor` prints. Pure. */
import type { Diagnosis } from "./doctor";
import { fixText, isFault, type Finding } from "./finding";
import { plainJson, plainText } from "./plain-text";

export function doctorText({ backend, findings, incomplete }: Diagnosis, secrets: readonly string[]): string {
  const faults = findings.filter(isFault);
  const notes = findings.filter((finding) => !isFault(finding));
  const lines = [
    ...faults.flatMap((finding) => textOf(finding, "FAULT")),
    ...notes.flatMap((finding) => textOf(finding, "note")),
    ...incomplete.map((line) => `Not looked at: ${line}`),
    summary(faults, incomplete, backend),
  ];
  return `${lines.map((line) => plainLine(line, secrets)).join("\n")}\n`;
}

/** The indent stays. */
const plainLine = (line: string, secrets: readonly string[]): string =>
  `${/^ */.exec(line)?.[0] ?? ""}${plainText(line, secrets)}`;

function textOf({ subject, what, next, fix }: Finding, label: string): string[] {
  return [
    `${label}  ${subject}: ${what}`,
    `       ${next}`,
    ...(fix === undefined ? [] : [`       --fix can ${fixText(fix)}`]),
  ];
}

function summary(faults: readonly Finding[], incomplete: readonly string[], backend: string): string {
  if (faults.length > 0) return `${String(faults.length)} fault${faults.length === 1 ? "" : "s"} found.`;
  return incomplete.length > 0
    ? "No fault in what could be looked at."
    : `No fault: the stack and the backend "${backend}" agree.`;
}

export interface Repair {
  subject: string;
  what: string;
  /** "done", "refused" (the answer was no), "not asked" (--yes alone does not), "failed". */
  outcome: "done" | "refused" | "not asked" | "failed";
  why?: string;
}

export function doctorJson(
  { backend, findings, incomplete }: Diagnosis,
  repairs: readonly Repair[] | undefined,
  secrets: readonly string[],
): unknown {
  return plainJson(
    {
      backend,
      healthy: !findings.some(isFault) && incomplete.length === 0,
      findings: findings.map(({ kind, severity, subject, what, next, fix }) => ({
        kind,
        severity,
        subject,
        what,
        next,
        fix: fix === undefined ? null : fixText(fix),
        ...(fix?.do === "delete_machine" ? { machineId: fix.machineId } : {}),
      })),
      incomplete,
      ...(repairs === undefined ? {} : { repairs }),
    },
    secrets,
  );
}

export const repairText = ({ subject, what, outcome, why }: Repair, secrets: readonly string[]): string =>
  plainText(`${outcome.toUpperCase()}  ${subject}: ${what}${why === undefined ? "" : `: ${why}`}`, secrets);
