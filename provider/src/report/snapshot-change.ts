/** What a preview means for a snapshot, in words. Pure. */
import type { PlannedResource } from "./grouping";
import type { ResourceReport } from "./report";
import { say, type Words } from "./words";

type Findings = Pick<ResourceReport, "actions" | "dangers" | "effects">;

/** Undefined when nothing happens to it. */
export function snapshotFindings({ verb, old, replaceReasons }: PlannedResource): Findings | undefined {
  const found = (action: Words, ...losses: Words[]): Findings => ({
    actions: [action],
    dangers: losses.map((text) => ({ loss: "snapshot", text })),
    effects: Object.fromEntries(replaceReasons.map((name) => [name, "replace" as const])),
  });
  const lost = old?.retainOnDelete || old?.external ? [] : [say`the snapshot is lost`];
  switch (verb) {
    case "create":
      return found(say`take`);
    case "update":
      return found(old && old.initErrors.length > 0 ? say`repair` : say`update in place`);
    case "delete":
      return found(lost.length > 0 ? say`delete` : say`leave the stack, and be kept`, ...lost);
    case "replace": {
      const again =
        replaceReasons.length > 0 ? say`take again because of ${replaceReasons.join(", ")}` : say`take again`;
      return found(again, ...(lost.length > 0 ? [say`the old snapshot is lost`] : []));
    }
    default:
      return undefined;
  }
}
