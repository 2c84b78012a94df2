/** What a preview says, as data: what the Markdown is made of, and what `--json` prints. Pure. */
import type { Backend } from "../controlplane/capabilities";
import { partsOf } from "../controlplane/tags";
import {
  commandType,
  environmentType,
  fileType,
  identityType,
  machineType,
  snapshotType,
  webhookType,
} from "../loader";
import type { ChangeEffect } from "../machine/changes";
import { driftOf, type Drift } from "./drift";
import { plannedResources, type PlannedResource, type Verb } from "./grouping";
import { machineFindings } from "./machine-change";
import { markerOf } from "./marker";
import { holdsSecret } from "./mask";
import type { Diagnostic, Preview } from "./preview";
import { propertyChanges, type PropertyChange } from "./property-diff";
import { snapshotFindings } from "./snapshot-change";
import { totalsOf, type Totals } from "./totals";
import type { Words } from "./words";

export type Outcome = "no-changes" | "changes" | "destructive" | "error";
export type Kind = "machine" | "snapshot" | "command" | "file" | "webhook";

/** "maybe": it depends on values that are known after apply. */
export type Loss = "disk" | "snapshot" | "restart" | "maybe";

export interface Danger {
  loss: Loss;
  text: Words;
}

export interface ResourceReport {
  urn: string;
  kind: Kind;
  /** With the name of its parent where two have the same. */
  name: string;
  id?: string;
  verb: Verb;
  /** What happens, in order: "resize in place", "sleep". */
  actions: Words[];
  /** What is lost or ends; empty for a harmless change. */
  dangers: Danger[];
  /** By argument, or member of one: what its change does. Only of machines and snapshots. */
  effects: Record<string, ChangeEffect>;
  diff: PropertyChange[];
  /** Differences beyond those in `diff`. */
  moreDiff: number;
  /** True when a secret is among the values: whether it changes cannot be seen. */
  secrets: boolean;
  /** Sizes of a machine; a number, or absent when there is none or it is not known. */
  before?: Sizes;
  after?: Sizes;
}

export type Sizes = Partial<Record<"vcpu" | "memoryMiB" | "storageGiB", number>>;

export interface Report {
  /** Counts the forms of this JSON. */
  version: 1;
  project: string;
  stack: string;
  backend: Backend;
  /** The first line of the Markdown, by which a job finds its comment. */
  marker: string;
  outcome: Outcome;
  /** Machines and snapshots to which something happens; the worst first. */
  resources: ResourceReport[];
  /** Commands, files and webhooks to which something happens. */
  companions: ResourceReport[];
  /** All other resources, by what happens to them. */
  others: Partial<Record<Verb, number>>;
  /** Resources of any type that stay as they are; 0 also where the preview was made without `--show-sames`. */
  unchanged: number;
  /** What a refresh found; empty without one. */
  drift: Drift[];
  /** Absent when the preview failed. */
  totals?: Totals;
  diagnostics: Diagnostic[];
}

export interface ReportOptions {
  backend: Backend;
  /** Where the preview names neither. */
  project?: string;
  stack?: string;
}

const kinds: Record<string, Kind> = {
  [machineType]: "machine",
  [snapshotType]: "snapshot",
  [commandType]: "command",
  [fileType]: "file",
  [webhookType]: "webhook",
};

export function reportOf(preview: Preview, { backend, project, stack }: ReportOptions): Report {
  const first = preview.steps[0]?.urn ?? preview.diagnostics.find(({ urn }) => urn)?.urn;
  const place = first === undefined ? { project, stack } : partsOf(first);
  const planned = plannedResources(preview.steps);
  const reports = planned.flatMap((resource) => resourceReport(resource, backend, planned));
  const failed = preview.diagnostics.some(({ severity }) => severity === "error");
  const { same: unchanged = 0, ...others } = othersOf(planned);
  const changed = reports.length > 0 || Object.keys(others).some((verb) => verb !== "read");
  const destructive = reports.some(({ dangers }) => dangers.length > 0);
  const primary = ({ kind }: ResourceReport): boolean => kind === "machine" || kind === "snapshot";
  return {
    version: 1,
    project: place.project || project || "unknown",
    stack: place.stack || stack || "unknown",
    backend,
    marker: markerOf(place.project || project || "unknown", place.stack || stack || "unknown"),
    outcome: failed ? "error" : destructive ? "destructive" : changed ? "changes" : "no-changes",
    resources: reports.filter(primary).sort(byWeight),
    companions: reports.filter((report) => !primary(report)).sort(byWeight),
    others,
    unchanged,
    drift: driftOf(planned),
    ...(failed ? {} : { totals: totalsOf(planned, preview.complete) }),
    diagnostics: preview.diagnostics.filter((diagnostic) => !saidInTable(diagnostic, reports)),
  };
}

/** The provider warns of what is lost, for those who read the terminal; here the resource has its own row. */
const saidInTable = ({ severity, message, urn }: Diagnostic, reports: readonly ResourceReport[]): boolean =>
  severity === "warning" &&
  / is (?:replaced|restarted) \(/.test(message) &&
  reports.some((report) => report.urn === urn && report.dangers.length > 0);

function resourceReport(
  planned: PlannedResource,
  backend: Backend,
  all: readonly PlannedResource[],
): ResourceReport[] {
  const kind = kinds[planned.type];
  if (!kind) return [];
  const found = findings(kind, planned, backend);
  if (!found) return [];
  const { urn, verb, old, new: next } = planned;
  const { changes, more } = propertyChanges(planned);
  const id = old?.id ?? next?.id;
  const machine = kind === "machine";
  return [
    {
      urn,
      kind,
      name: labelOf(planned, all),
      ...(id === undefined ? {} : { id }),
      verb,
      ...found,
      diff: changes,
      moreDiff: more,
      secrets: holdsSecret(old?.inputs) || holdsSecret(next?.inputs),
      ...(machine && old ? { before: sizesOf({ ...old.inputs, ...old.outputs }) } : {}),
      ...(machine && next && verb !== "delete"
        ? { after: sizesOf(verb === "update" ? { ...old?.outputs, ...next.inputs } : next.inputs) }
        : {}),
    },
  ];
}

function findings(kind: Kind, planned: PlannedResource, backend: Backend) {
  if (kind === "machine") return machineFindings(planned, backend);
  if (kind === "snapshot") return snapshotFindings(planned);
  const { verb } = planned;
  const happens = verb === "create" || verb === "update" || verb === "replace" || verb === "delete";
  return happens ? { actions: [{ parts: [verb], values: [] }], dangers: [], effects: {} } : undefined;
}

/** Two resources may have the same name under different parents. */
function labelOf(
  { urn, type, name, old, new: next }: PlannedResource,
  all: readonly PlannedResource[],
): string {
  const same = all.some((other) => other.urn !== urn && other.type === type && other.name === name);
  const parent = (next ?? old)?.parent;
  return same && parent ? `${partsOf(parent).name}/${name}` : name;
}

function sizesOf(properties: Record<string, unknown>): Sizes {
  const names = ["vcpu", "memoryMiB", "storageGiB"] as const;
  return Object.fromEntries(
    names.flatMap((name) => (typeof properties[name] === "number" ? [[name, properties[name]]] : [])),
  );
}

/** Neither the stack itself, nor components and providers, nor what the package keeps for its own use. */
function othersOf(planned: readonly PlannedResource[]): Report["others"] {
  const counts: Report["others"] = {};
  for (const { type, verb, old, new: next } of planned) {
    const infrastructure = type.startsWith("pulumi:") || type === identityType || type === environmentType;
    const custom = (next ?? old)?.custom ?? true;
    const shown = kinds[type] !== undefined && verb !== "same" && verb !== "read";
    if (infrastructure || shown || !custom || verb === "other") continue;
    counts[verb] = (counts[verb] ?? 0) + 1;
  }
  return counts;
}

const order: readonly Verb[] = ["replace", "delete", "update", "create"];

const byWeight = (one: ResourceReport, other: ResourceReport): number =>
  other.dangers.length - one.dangers.length ||
  order.indexOf(one.verb) - order.indexOf(other.verb) ||
  (one.name < other.name ? -1 : one.name > other.name ? 1 : 0);
