/** The steps of a preview by resource: Pulumi writes several where it refreshes or replaces. Pure. */
import { partsOf, type UrnParts } from "../controlplane/tags";
import type { ResourceState, Step } from "./preview";

export type Verb = "create" | "update" | "replace" | "delete" | "same" | "read" | "other";

export interface PlannedResource extends UrnParts {
  urn: string;
  verb: Verb;
  /** As it stands, after a refresh where there was one. */
  old?: ResourceState;
  /** As the program wants it. */
  new?: ResourceState;
  /** As the state had it before a refresh; only with one. */
  recorded?: ResourceState;
  replaceReasons: string[];
  /** The rest of an earlier replacement, which is deleted now. */
  leftOver: boolean;
}

const verbs: Record<string, Verb> = {
  create: "create",
  import: "create",
  update: "update",
  replace: "replace",
  "create-replacement": "replace",
  "import-replacement": "replace",
  "read-replacement": "read",
  delete: "delete",
  same: "same",
  read: "read",
};

/** In the order of their first step. */
export function plannedResources(steps: readonly Step[]): PlannedResource[] {
  const byUrn = new Map<string, Step[]>();
  for (const step of steps) byUrn.set(step.urn, [...(byUrn.get(step.urn) ?? []), step]);
  return [...byUrn].flatMap(([urn, own]) => planned(urn, own));
}

function planned(urn: string, steps: readonly Step[]): PlannedResource[] {
  const result: PlannedResource[] = [];
  const parts = partsOf(urn);
  const recorded = steps.find(({ op }) => op === "refresh")?.oldState;
  const rest = steps.filter(({ op }) => op !== "refresh" && op !== "delete-replaced");
  // The step "replace" has both states; its companions have one each.
  const main = rest.find(({ op }) => op === "replace") ?? rest[0];
  const replaced = steps.filter(({ op }) => op === "delete-replaced");
  if (main || recorded) {
    const old = main?.oldState ?? (main?.op === "create-replacement" ? replaced[0]?.oldState : undefined);
    result.push({
      ...parts,
      urn,
      verb: main ? (verbs[main.op] ?? "other") : "other",
      ...(old ? { old } : {}),
      ...(main?.newState ? { new: main.newState } : {}),
      ...(recorded ? { recorded } : {}),
      replaceReasons: main?.replaceReasons ?? [],
      leftOver: false,
    });
  }
  const left = main && verbs[main.op] === "replace" ? replaced.slice(1) : replaced;
  for (const { oldState } of left) {
    const old = oldState ? { old: oldState } : {};
    result.push({ ...parts, urn, verb: "delete", ...old, replaceReasons: [], leftOver: true });
  }
  return result;
}
