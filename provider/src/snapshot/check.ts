/** Checks what a program asks of a Snapshot, and of the backend. Pure; runs in every preview. */
import { checkArgs, notThere, type Checked, type CheckFailure, type CheckWorld } from "../check-args";
import { capabilities } from "../controlplane/capabilities";
import { reservedIn } from "../controlplane/tags";
import { isUnknown } from "../hidden";
import { snapshotArgs } from "./args";

export function checkSnapshot(news: Record<string, unknown>, { backend }: CheckWorld): Checked {
  const { inputs, failures } = checkArgs(snapshotArgs, news, {
    noun: "a Snapshot",
    unrecorded: ["timeouts"],
  });
  const wrong = new Set(failures.map(({ property }) => property));
  const rules = [...missingOn(backend, inputs), ...reservedNames(inputs), ...withAdopt(inputs)];
  return { inputs, failures: [...failures, ...rules.filter(({ property }) => !wrong.has(property))] };
}

function missingOn(backend: CheckWorld["backend"], inputs: Record<string, unknown>): CheckFailure[] {
  if (backend === undefined) return [];
  const can = capabilities[backend];
  if (!can.snapshots) return [notThere("machineId", backend, "has no snapshots: it cannot have a Snapshot")];
  if (inputs.metadata !== undefined && !can.snapshotMetadata) {
    return [notThere("metadata", backend, "keeps no metadata with a snapshot; leave it out")];
  }
  return [];
}

const withAdopt = ({ adopt, metadata }: Record<string, unknown>): CheckFailure[] =>
  adopt !== undefined && metadata !== undefined
    ? [{ property: "metadata", reason: "comes with the snapshot that is taken over (adopt); leave it out" }]
    : [];

function reservedNames({ metadata }: Record<string, unknown>): CheckFailure[] {
  if (typeof metadata !== "object" || metadata === null || isUnknown(metadata)) return [];
  const reserved = reservedIn(metadata as Record<string, unknown>);
  if (reserved.length === 0) return [];
  const reason = `${reserved.join(", ")}: names that begin with "pulumi:" are the stack's own`;
  return [{ property: "metadata", reason }];
}
