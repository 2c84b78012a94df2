/** The one line that says it all. Pure. */
import { errorCount } from "./diagnostics-text";
import { code } from "./escape";
import type { Loss, Report, ResourceReport } from "./report";

export const counted = (count: number, noun: string): string =>
  `${String(count)} ${noun}${count === 1 ? "" : "s"}`;

const words: readonly [ResourceReport["verb"], string][] = [
  ["create", "create"],
  ["update", "change"],
  ["replace", "replace"],
  ["delete", "delete"],
];

/** As plain words: for the JSON and for the title of an issue. */
export function summaryOf({ outcome, resources, companions, others, diagnostics }: Report): string {
  if (outcome === "error") {
    return `the preview failed with ${counted(errorCount(diagnostics), "error")}`;
  }
  if (outcome === "no-changes") return "no changes";
  const machines = kindSummary(resources, "machine");
  const snapshots = kindSummary(resources, "snapshot");
  const otherChanges =
    companions.length +
    (["create", "update", "replace", "delete"] as const).reduce((sum, verb) => sum + (others[verb] ?? 0), 0);
  const rest = otherChanges > 0 ? [`${counted(otherChanges, "other resource")} to change`] : [];
  return [...machines, ...snapshots, ...rest].join("; ");
}

function kindSummary(resources: readonly ResourceReport[], kind: "machine" | "snapshot"): string[] {
  const own = resources.filter((resource) => resource.kind === kind);
  if (own.length === 0) return [];
  const counts = words.flatMap(([verb, word]) => {
    const count = own.filter((resource) => resource.verb === verb).length;
    return count > 0 ? [`${String(count)} to ${word}`] : [];
  });
  return [`${kind}s: ${counts.join(", ")}`];
}

const icons = { "no-changes": "✅", changes: "🔵", destructive: "🔴", error: "❌" } as const;

export function headlineOf(report: Report): string {
  const place = `${code(report.project)} / ${code(report.stack)}`;
  const losses = lossesOf(report);
  const warning = losses === "" ? "" : `\n\n🔴 **${losses}.**`;
  return `### ${icons[report.outcome]} ${place}: ${summaryOf(report)}${warning}`;
}

/** "2 disks are lost, 1 machine restarts"; empty where nothing is lost. */
export function lossesOf({ resources }: Report): string {
  const count = (loss: Loss): number =>
    resources.filter(({ dangers }) => dangers.some((danger) => danger.loss === loss)).length;
  const are = (number: number): string => (number === 1 ? "is" : "are");
  const [disks, snapshots, restarts, maybe] = [
    count("disk"),
    count("snapshot"),
    count("restart"),
    count("maybe"),
  ];
  return [
    ...(disks > 0 ? [`${counted(disks, "disk")} ${are(disks)} lost`] : []),
    ...(snapshots > 0 ? [`${counted(snapshots, "snapshot")} ${are(snapshots)} lost`] : []),
    ...(restarts > 0 ? [`${counted(restarts, "machine")} ${restarts === 1 ? "restarts" : "restart"}`] : []),
    ...(maybe > 0 ? [`${counted(maybe, "machine")} may be replaced or restart`] : []),
  ].join(", ");
}
