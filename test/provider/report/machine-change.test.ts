import type { Backend } from "../../../provider/src/controlplane/capabilities";
import { plain } from "../../../provider/src/report/words";
import { digestOf, made, madeStep, reportFrom, type MadeStep } from "./digests";

const size = { vcpu: 1, memoryMiB: 1024, storageGiB: 10, desiredState: "running" };
const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const update = (old: object, next: object): MadeStep => ({
  op: "update",
  old: { ...size, ...old },
  new: { ...size, ...next },
});

const cases: [what: string, step: MadeStep, actions: string[], dangers?: string[], backend?: Backend][] = [
  ["a new machine", { op: "create", new: size }, ["create"]],
  ["one that shall sleep", { op: "create", new: { ...size, desiredState: "sleeping" } }, ["create", "sleep"]],
  [
    "one of a snapshot",
    { op: "create", new: { from: { snapshot: "sn-1" } } },
    ["create from the snapshot sn-1"],
  ],
  [
    "one of a snapshot that is still to be taken",
    { op: "create", new: { from: { snapshot: unknown } } },
    ["create from a snapshot, known after apply"],
  ],
  ["a copy", { op: "create", new: { from: { machine: "dm-2" } } }, ["create as a copy of the machine dm-2"]],
  ["one taken over", { op: "create", new: { adopt: "dm-3" } }, ["adopt the machine dm-3"]],
  ["a size", update({}, { vcpu: 2 }), ["resize in place"]],
  ["a larger disk", update({}, { storageGiB: 20 }), ["resize in place"]],
  ["sleep", update({}, { desiredState: "sleeping" }), ["sleep"]],
  ["wake", update({ desiredState: "sleeping" }, {}), ["wake"]],
  ["a state left to others", update({}, { desiredState: "any" }), ["leave sleep and wake to others"]],
  ["the autosleep", update({ autosleep: "1h" }, { autosleep: "2h" }), ["change autosleep in place"]],
  [
    "several at once",
    update({}, { vcpu: 2, autosleep: "1h", desiredState: "sleeping" }),
    ["resize in place", "change autosleep in place", "sleep"],
  ],
  [
    "the network, where that is a restart",
    update({}, { network: { egress: { mode: "deny_all" } } }),
    ["restart because of network.egress"],
    ["restarts: its processes end"],
  ],
  [
    "the network, where it is not",
    update({}, { network: { egress: { mode: "deny_all" } } }),
    ["change network.egress in place"],
    [],
    "nullspace",
  ],
  ["a failed machine", { ...update({}, {}), oldState: { initErrors: ["image_missing"] } }, ["repair"]],
  [
    "a source that is not known yet",
    update({ from: { snapshot: "sn-1" } }, { from: { snapshot: unknown } }),
    ["update"],
    ["is replaced if from, known after apply, differs: then its disk is lost"],
  ],
  [
    "the same with a snapshot before",
    update({ triggers: [1] }, { triggers: unknown, beforeReplace: "snapshot" }),
    ["update"],
    ["is replaced if triggers, known after apply, differs: then its processes end"],
  ],
  ["a secret", update({ env: "[secret]" }, { env: "[secret]" }), ["change what is secret"]],
  [
    "a replacement",
    { op: "replace", old: size, new: { ...size, template: "node" }, replaceReasons: ["template"] },
    ["replace because of template"],
    ["its disk is lost"],
  ],
  [
    "a replacement whose reason Pulumi does not tell",
    { op: "replace", old: size, new: { ...size, template: "node" } },
    ["replace because of template"],
    ["its disk is lost"],
  ],
  [
    "a replacement that keeps the disk",
    {
      op: "replace",
      old: { ...size, triggers: [1] },
      new: { ...size, triggers: [2], beforeReplace: "snapshot" },
      replaceReasons: ["triggers"],
    },
    ["replace because of triggers", "start from a snapshot of the old disk"],
    ["restarts: its processes end"],
  ],
  ["a deletion", { op: "delete", old: size }, ["delete"], ["its disk is lost"]],
  [
    "a deletion that the machine survives",
    { op: "delete", old: size, oldState: { retainOnDelete: true } },
    ["leave the stack, and be kept"],
  ],
  [
    "the rest of an earlier replacement",
    { op: "delete-replaced", old: size },
    ["delete what an earlier replacement left"],
    ["its disk is lost"],
  ],
];

test.each(cases)("%s", (_what, step, actions, dangers = [], backend = "local") => {
  const [resource] = made(step, backend).resources;
  expect(resource?.actions.map(plain)).toEqual(actions);
  expect(resource?.dangers.map(({ text }) => plain(text))).toEqual(dangers);
  const harmless = dangers.length === 0;
  expect(made(step, backend).outcome).toBe(harmless ? "changes" : "destructive");
});

test("a machine that stays, is read or is refreshed is no change", () => {
  for (const op of ["same", "read", "refresh"]) {
    const report = made({ op, old: size, new: size });
    expect(report.resources).toEqual([]);
    expect(report.outcome).toBe("no-changes");
  }
});

test("all steps of a replacement are one replacement", () => {
  const steps = ["create-replacement", "replace", "delete-replaced"].map((op) =>
    madeStep({
      op,
      ...(op === "create-replacement" ? {} : { old: size }),
      ...(op === "delete-replaced" ? {} : { new: { ...size, vcpu: 2 } }),
    }),
  );
  for (const order of [steps, [...steps].reverse()]) {
    const { resources, totals } = reportFrom(digestOf(order));
    expect(resources).toHaveLength(1);
    expect(resources[0]).toMatchObject({ verb: "replace", before: { vcpu: 1 }, after: { vcpu: 2 } });
    expect(totals).toMatchObject({ machines: { before: 1, after: 1 }, vcpu: { before: 1, after: 2 } });
  }
});

test("what the machine has counts, not what the program once asked for", () => {
  const step = madeStep({
    op: "update",
    old: size,
    new: size,
    oldState: { outputs: { ...size, memoryMiB: 512 } },
  });
  const [resource] = reportFrom(digestOf([step])).resources;
  expect(resource?.diff).toEqual([{ path: "memoryMiB", before: 512, after: 1024 }]);
});

test("snapshots are taken, taken again and lost", () => {
  const type = "pulumi-nodejs:dynamic/machines:Snapshot";
  const actionsOf = (step: MadeStep): unknown[] => {
    const [resource] = made({ type, ...step }).resources;
    return [resource?.actions.map(plain), resource?.dangers.map(({ loss }) => loss)];
  };
  const inputs = { machineId: "dm-1", triggers: [1] };
  expect(actionsOf({ op: "create", new: inputs })).toEqual([["take"], []]);
  expect(actionsOf({ op: "delete", old: inputs })).toEqual([["delete"], ["snapshot"]]);
  expect(actionsOf({ op: "delete", old: inputs, oldState: { retainOnDelete: true } })[1]).toEqual([]);
  const again: MadeStep = {
    op: "replace",
    old: inputs,
    new: { ...inputs, triggers: [2] },
    replaceReasons: ["triggers"],
  };
  expect(actionsOf(again)).toEqual([["take again because of triggers"], ["snapshot"]]);
});

test("other resources are counted by what happens to them", () => {
  const of = (type: string, op: string, name: string): object =>
    madeStep({ op, type, name, old: {}, new: {} });
  const { others, unchanged, companions, outcome } = reportFrom(
    digestOf([
      of("pulumi:pulumi:Stack", "same", "shop-dev"),
      of("pulumi-nodejs:dynamic/machines:StackIdentity", "same", "pulumi-machines"),
      of("pulumi-nodejs:dynamic/machines:Command", "create", "setup"),
      of("aws:s3/bucket:Bucket", "create", "logs"),
      of("aws:s3/bucket:Bucket", "same", "old"),
    ]),
  );
  expect({ others, unchanged, outcome }).toEqual({ others: { create: 1 }, unchanged: 1, outcome: "changes" });
  expect(companions.map(({ kind, name }) => [kind, name])).toEqual([["command", "setup"]]);
});

test("two machines with one name are told apart by their parents", () => {
  const steps = ["blue", "green"].map((pool) => {
    const parent = `urn:pulumi:dev::shop::shop:index:${pool}::${pool}`;
    const step = madeStep({ op: "create", name: "web", new: size, newState: { parent } });
    return {
      ...step,
      urn: `urn:pulumi:dev::shop::shop:index:${pool}$pulumi-nodejs:dynamic/machines:Machine::web`,
    };
  });
  expect(reportFrom(digestOf(steps)).resources.map(({ name }) => name)).toEqual(["blue/web", "green/web"]);
});
