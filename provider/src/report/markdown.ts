/** A report as Markdown for a pull request, never longer than allowed: whole rows and sections are left out, and counted. Pure. */
import type { ChangeEffect } from "../machine/changes";
import { errorBlocks, warningBlocks } from "./diagnostics-text";
import { code, codeInHtml, fenced, linesWithin } from "./escape";
import { counted, headlineOf } from "./headline";
import type { Report, ResourceReport } from "./report";
import { machineSizes, totalsTable } from "./sizes-text";
import { diffLines } from "./value-text";
import { printed } from "./words";

/** GitHub takes 65,536 characters. */
export const defaultMaxLength = 65_000;
/** Room for what is never left out, whatever the names. */
export const minMaxLength = 8_000;
/** Of one resource. */
const maxDiffCharacters = 8_000;

/** @param maxLength At least 8,000 characters. */
export function markdownOf(report: Report, maxLength: number = defaultMaxLength): string {
  const fixed = [report.marker, headlineOf(report), ...closing(report)];
  // Each section brings a blank line, and each may end in a line that says how much was left out.
  const reserved = fixed.join("\n\n").length + 600;
  const room = { left: maxLength - reserved };
  const share = (part: number): { left: number } => ({ left: Math.floor(room.left * part) });
  const spend = (text: string[]): string[] => {
    room.left -= text.join("\n\n").length + 2 * text.length;
    return text;
  };
  const errors = spend(fitting(errorBlocks(report.diagnostics), share(0.6), "\n\n", "error"));
  const drift = spend(driftSection(report, share(0.3)));
  const table = spend(resourceTable(report, share(0.6)));
  const warnings = spend(fitting(warningBlocks(report.diagnostics), share(0.3), "\n\n", "warning"));
  const details = fitting(
    [...report.resources, ...report.companions].flatMap(detailsOf),
    { left: room.left },
    "\n\n",
    "property diff",
  );
  const [marker = "", headline = "", ...rest] = fixed;
  return (
    [marker, headline, ...errors, ...drift, ...table, ...warnings, ...rest, ...details].join("\n\n") + "\n"
  );
}

/** The first ones that fit together, joined, and how many are left out. */
function fitting(blocks: readonly string[], room: { left: number }, joint: string, noun: string): string[] {
  if (blocks.length === 0) return [];
  const taken: string[] = [];
  for (const block of blocks) {
    if (block.length + joint.length > room.left) break;
    room.left -= block.length + joint.length;
    taken.push(block);
  }
  const missing = blocks.length - taken.length;
  const more = missing > 0 ? [`*… and ${counted(missing, `more ${noun}`)}.*`] : [];
  return [...(taken.length > 0 ? [taken.join(joint)] : []), ...more];
}

// ---------------------------------------------------------------- the table

const signs: Record<ResourceReport["verb"], string> = {
  create: "🟢",
  update: "🔵",
  replace: "🟠",
  delete: "⚪",
  same: "",
  read: "",
  other: "",
};

function resourceTable({ resources }: Report, room: { left: number }): string[] {
  if (resources.length === 0) return [];
  const head = "| | resource | what happens | size |\n|---|---|---|---|\n";
  room.left -= head.length;
  const [rows, ...more] = fitting(resources.map(tableRow), room, "\n", "resource");
  return rows?.startsWith("|") ? [head + rows, ...more] : [rows ?? "", ...more];
}

function tableRow(resource: ResourceReport): string {
  const { kind, name, verb, actions, dangers } = resource;
  const sign = dangers.length > 0 ? "🔴" : signs[verb];
  const does = actions.map((action) => printed(action, code)).join(", then ");
  const lost = dangers.map(({ text }) => `**${printed(text, code)}**`).join(", ");
  const what = kind === "machine" ? "" : `${kind} `;
  return `| ${sign} | ${what}${code(name)} | ${does}${lost === "" ? "" : `: ${lost}`} | ${machineSizes(resource)} |`;
}

// ---------------------------------------------------------------- what a refresh found

function driftSection({ drift }: Report, room: { left: number }): string[] {
  if (drift.length === 0) return [];
  const items = drift.map(({ kind, name, gone, changes }) => {
    const lines = changes.flatMap((change) => diffLines(change));
    const what = gone
      ? " is not there any more."
      : `\n\n${fenced("diff", linesWithin(lines, maxDiffCharacters, "# "))}`;
    return `${kind === "machine" ? "Machine" : "Snapshot"} ${code(name)}${what}`;
  });
  return ["**Changed outside of this stack**", ...fitting(items, room, "\n\n", "resource")];
}

// ---------------------------------------------------------------- totals and the rest

function closing(report: Report): string[] {
  const { totals, resources } = report;
  const sections: string[] = [];
  const counts = totals && totals.machines.before + totals.machines.after > 0;
  if (totals && counts && (resources.length > 0 || totals.complete)) sections.push(totalsTable(totals));
  const others = othersLine(report);
  if (others !== "") sections.push(others);
  return sections;
}

function othersLine({ companions, others, unchanged }: Report): string {
  const counts = new Map<string, number>();
  const add = (what: string, count = 0): void => void counts.set(what, (counts.get(what) ?? 0) + count);
  for (const { kind, verb } of companions) add(`${verb} ${kind}`, 1);
  for (const verb of ["create", "update", "replace", "delete"] as const) add(`${verb} other`, others[verb]);
  const parts = [...counts].flatMap(([what, count]) => (count > 0 ? [actionOn(what, count)] : []));
  if (others.read) parts.push(`${String(others.read)} only read`);
  const rest = unchanged > 0 ? [`Unchanged: ${counted(unchanged, "resource")}.`] : [];
  return [...(parts.length > 0 ? [`Other resources: ${parts.join(", ")}.`] : []), ...rest].join(" ");
}

/** "2 commands to create" of "create command". */
function actionOn(what: string, count: number): string {
  const [verb = "", noun = ""] = what.split(" ");
  return `${counted(count, noun)} to ${verb}`;
}

// ---------------------------------------------------------------- property diffs

const remarks: Record<ChangeEffect, string> = {
  "in place": "",
  none: "no change to the machine",
  restart: "restarts",
  replace: "replaces",
};

/** An effect may be that of the whole argument, or of a member of what is shown as a whole. */
function remarkOn(path: string, effects: ResourceReport["effects"]): string {
  const own = Object.entries(effects).filter(
    ([name]) => name === path || path.startsWith(`${name}.`) || name.startsWith(`${path}.`),
  );
  const worst = (["replace", "restart", "none"] as const).find((one) =>
    own.some(([, effect]) => effect === one),
  );
  return worst === undefined ? "" : remarks[worst];
}

function detailsOf({ kind, name, actions, diff, moreDiff, effects, secrets }: ResourceReport): string[] {
  const lines = diff.flatMap((change) => diffLines(change, remarkOn(change.path, effects)));
  if (moreDiff > 0) lines.push(`# … and ${String(moreDiff)} more`);
  if (lines.length === 0)
    lines.push(secrets ? "# no difference that is not secret" : "# no difference in the properties");
  const does = actions.map((action) => printed(action, codeInHtml)).join(", then ");
  const summary = `<details><summary>${kind} ${codeInHtml(name)}: ${does}</summary>`;
  return [`${summary}\n\n${fenced("diff", linesWithin(lines, maxDiffCharacters, "# "))}\n\n</details>`];
}
