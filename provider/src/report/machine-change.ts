/** What a preview means for a machine, in words: from the same table as the diff itself. Pure. */
import type { Backend } from "../controlplane/capabilities";
import { isUnknown } from "../hidden";
import { argumentOf, changesBetween, type Change } from "../machine/changes";
import type { PlannedResource } from "./grouping";
import type { Properties } from "./preview";
import { holdsSecret } from "./mask";
import type { Danger, ResourceReport } from "./report";
import { say, type Words } from "./words";

type Findings = Pick<ResourceReport, "actions" | "dangers" | "effects">;

const sizes = ["vcpu", "memoryMiB", "storageGiB"];

/** Undefined when nothing happens to it. */
export function machineFindings(planned: PlannedResource, backend: Backend): Findings | undefined {
  const { verb, new: next } = planned;
  const news = next?.inputs ?? {};
  switch (verb) {
    case "create":
      return {
        actions: [creation(news), ...(news.desiredState === "sleeping" ? [say`sleep`] : [])],
        dangers: [],
        effects: {},
      };
    case "delete":
      return deletion(planned);
    case "replace":
      return replacement(planned, changesOf(planned, backend));
    case "update": {
      const changes = changesOf(planned, backend);
      return {
        actions: updates(planned, changes),
        dangers: dangersOf(changes, news),
        effects: effectsOf(changes),
      };
    }
    default:
      return undefined;
  }
}

const changesOf = ({ old, new: next }: PlannedResource, backend: Backend): Change[] =>
  changesBetween({ ...old?.inputs, ...old?.outputs }, next?.inputs ?? {}, backend).filter(
    // Whether a secret differs cannot be seen.
    ({ name }) => !holdsSecret(next?.inputs[argumentOf(name)]),
  );

const effectsOf = (changes: readonly Change[]): ResourceReport["effects"] =>
  Object.fromEntries(changes.map(({ name, effect }) => [name, effect]));

function creation(news: Properties): Words {
  if (isUnknown(news.adopt)) return say`adopt a machine, known after apply`;
  if (news.adopt !== undefined) return say`adopt the machine ${idText(news.adopt)}`;
  const from = news.from;
  if (typeof from === "string") return say`create from what is known after apply`;
  const { snapshot, machine } = (typeof from === "object" && from !== null ? from : {}) as Properties;
  if (isUnknown(snapshot)) return say`create from a snapshot, known after apply`;
  if (isUnknown(machine)) return say`create as a copy of a machine, known after apply`;
  if (snapshot !== undefined) return say`create from the snapshot ${idText(snapshot)}`;
  if (machine !== undefined) return say`create as a copy of the machine ${idText(machine)}`;
  return say`create`;
}

const idText = (id: unknown): string => (typeof id === "string" ? id : JSON.stringify(id));

function deletion({ old, leftOver }: PlannedResource): Findings {
  if (old?.external) return { actions: [say`forget`], dangers: [], effects: {} };
  if (old?.retainOnDelete) return { actions: [say`leave the stack, and be kept`], dangers: [], effects: {} };
  const what = leftOver ? say`delete what an earlier replacement left` : say`delete`;
  return { actions: [what], dangers: [{ loss: "disk", text: say`its disk is lost` }], effects: {} };
}

function replacement(planned: PlannedResource, changes: readonly Change[]): Findings {
  const { old, new: next, replaceReasons } = planned;
  const found = changes.filter(({ effect }) => effect === "replace").map(({ name }) => argumentOf(name));
  const reasons = [...new Set(replaceReasons.length > 0 ? replaceReasons : found)];
  const action = reasons.length > 0 ? say`replace because of ${reasons.join(", ")}` : say`replace`;
  const effects = {
    ...effectsOf(changes),
    ...Object.fromEntries(reasons.map((name) => [name, "replace" as const])),
  };
  if (next?.inputs.beforeReplace === "snapshot") {
    const actions = [action, say`start from a snapshot of the old disk`];
    return { actions, dangers: [restart], effects };
  }
  const disk = old?.retainOnDelete ? say`a new, empty machine takes its place` : say`its disk is lost`;
  return { actions: [action], dangers: [{ loss: "disk", text: disk }], effects };
}

function updates({ old, new: next }: PlannedResource, changes: readonly Change[]): Words[] {
  const changed = changes.filter(({ effect }) => effect === "in place").map(({ name }) => name as string);
  const actions: Words[] = [];
  if (old && (old.initErrors.length > 0 || old.outputs.phase === "failed")) actions.push(say`repair`);
  if (changed.some((name) => sizes.includes(name))) actions.push(say`resize in place`);
  const rest = changed.filter((name) => !sizes.includes(name) && name !== "desiredState");
  if (rest.length > 0) actions.push(say`change ${rest.join(", ")} in place`);
  if (changed.includes("desiredState")) actions.push(desire(next?.inputs.desiredState));
  const restarting = changes.filter(({ effect, unknown }) => effect === "restart" && !unknown);
  if (restarting.length > 0) {
    actions.push(say`restart because of ${restarting.map(({ name }) => name).join(", ")}`);
  }
  if (actions.length > 0) return actions;
  return [holdsSecret(next?.inputs) ? say`change what is secret` : say`update`];
}

function desire(state: unknown): Words {
  if (state === "sleeping") return say`sleep`;
  if (state === "running") return say`wake`;
  return state === "any" ? say`leave sleep and wake to others` : say`sleep or wake, known after apply`;
}

const restart: Danger = { loss: "restart", text: say`restarts: its processes end` };

/** An update says nothing of what unknown values may still do: a deploy decides again when it knows them. */
function dangersOf(changes: readonly Change[], news: Properties): Danger[] {
  const open = changes.filter(({ unknown, effect }) => unknown && effect === "replace");
  const restarts = changes.filter(({ effect }) => effect === "restart");
  const dangers: Danger[] = [];
  if (open.length > 0) {
    const names = [...new Set(open.map(({ name }) => argumentOf(name)))].join(", ");
    const loss = news.beforeReplace === "snapshot" ? "its processes end" : "its disk is lost";
    const parts = ["is replaced if ", `, known after apply, differs: then ${loss}`];
    dangers.push({ loss: "maybe", text: { parts, values: [names] } });
  }
  if (restarts.some(({ unknown }) => !unknown)) dangers.push(restart);
  else if (restarts.length > 0) {
    dangers.push({ loss: "maybe", text: say`may restart: then its processes end` });
  }
  return dangers;
}
