/** The functions over a real embedded control plane, set as a program is. */
import * as pulumi from "@pulumi/pulumi";
import { LocalControlPlane } from "../../../provider/src/controlplane/local";
import {
  getMachine,
  getMachineOutput,
  listLifecycleEvents,
  listLifecycleEventsOutput,
  listMachines,
  listMachinesOutput,
} from "../../../provider/src/functions";
import { keyed, running, settled, size, startEmbedded } from "../controlplane/embedded";

let local: Awaited<ReturnType<typeof startEmbedded>>;
let plane: LocalControlPlane;
let blue: string;
let asleep: string;

const set = (settings: Record<string, string>): void =>
  pulumi.runtime.setAllConfig(
    Object.fromEntries(Object.entries(settings).map(([name, value]) => [`machines:${name}`, value])),
  );
const idsOf = (machines: { id: string }[]): string[] => machines.map(({ id }) => id).sort();
const failureOf = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "",
    (error: unknown) => {
      expect(pulumi.RunError.isInstance(error)).toBe(true);
      return (error as Error).message;
    },
  );
const valueOf = <T>(output: pulumi.Output<T>): Promise<T> =>
  new Promise((resolve) => output.apply((value) => resolve(value)));

beforeAll(async () => {
  local = await startEmbedded("null");
  plane = new LocalControlPlane({ url: local.url, apiKey: local.apiKey });
  blue = await running(plane, { ...size, metadata: { team: "blue", n: 1 }, tags: { "pulumi:stack": "dev" } });
  asleep = await running(plane, { ...size, metadata: { team: "red" } });
  await plane.sleepMachine(asleep, keyed());
  await settled(plane, asleep, "sleeping");
}, 60_000);
afterAll(async () => {
  pulumi.runtime.setAllConfig({});
  await plane.close();
  await local.close();
});
beforeEach(() => set({ endpoint: local.url, apiKey: local.apiKey }));

test("a machine by its id, as it is now", async () => {
  const machine = await getMachine({ id: blue });
  expect(machine).toMatchObject({
    ...{ id: blue, phase: "running", desiredState: "running", vcpu: 0.5, memoryMiB: 256, storageGiB: 1 },
    metadata: { team: "blue", n: 1 },
    tags: { "pulumi:stack": "dev" },
  });
  expect(machine).not.toHaveProperty("revision");
  expect(await getMachine({ id: asleep })).toMatchObject({ phase: "sleeping" });
});

test("machines by each filter, and by all of them", async () => {
  expect(idsOf(await listMachines())).toEqual([blue, asleep].sort());
  expect(idsOf(await listMachines({ phases: ["sleeping"] }))).toEqual([asleep]);
  expect(idsOf(await listMachines({ metadata: { team: "blue" } }))).toEqual([blue]);
  expect(idsOf(await listMachines({ metadata: { n: 1 }, tags: { "pulumi:stack": "dev" } }))).toEqual([blue]);
  expect(await listMachines({ phases: ["sleeping"], metadata: { team: "blue" } })).toEqual([]);
  expect(await listMachines({ template: "nothing-has-it" })).toEqual([]);
  expect(await listMachines({ limit: 1 })).toHaveLength(1);
});

test("a machine that is destroyed is listed when its phase is asked for, and only then", async () => {
  const id = await running(plane);
  await plane.deleteMachine(id, keyed());
  await settled(plane, id, "destroyed").catch(() => undefined);
  expect(idsOf(await listMachines())).not.toContain(id);
  expect(idsOf(await listMachines({ phases: ["destroyed"] }))).toEqual([id]);
});

test("what has happened, by each filter", async () => {
  const events = await listLifecycleEvents({ machineId: blue });
  expect(events.map(({ machineId }) => machineId)).toEqual(events.map(() => blue));
  expect(events.map(({ operation, status }) => `${operation} ${status}`)).toEqual([
    "create succeeded",
    "create requested",
  ]);
  const [newest, oldest] = events;
  const oldestFirst = await listLifecycleEvents({ machineId: blue, order: "asc" });
  expect(oldestFirst.map(({ id }) => id)).toEqual([oldest?.id, newest?.id]);
  expect(await listLifecycleEvents({ operation: "hibernate", status: "succeeded" })).toMatchObject([
    { machineId: asleep },
  ]);
  expect(await listLifecycleEvents({ limit: 1, machineId: blue })).toHaveLength(1);
  expect(await listLifecycleEvents({ machineId: blue, to: oldest?.occurredAt })).toEqual([]);
  expect(await listLifecycleEvents({ machineId: blue, from: "2999-01-01T00:00:00Z" })).toEqual([]);
  const { id: snapshotId } = await plane.snapshots.create(asleep, {}, keyed());
  expect((await listLifecycleEvents({ snapshotId })).map(({ operation }) => operation)).toContain(
    "snapshot_created",
  );
});

test("the Output forms take outputs, and a secret stays one", async () => {
  const one = getMachineOutput({ id: pulumi.output(blue) });
  expect(await valueOf(one)).toMatchObject({ id: blue });
  expect(idsOf(await valueOf(listMachinesOutput({ metadata: { team: pulumi.output("blue") } })))).toEqual([
    blue,
  ]);
  expect(await valueOf(listMachinesOutput())).toHaveLength(2);
  expect(await valueOf(listLifecycleEventsOutput({ machineId: pulumi.output(blue), limit: 1 }))).toHaveLength(
    1,
  );
  expect(await valueOf(listLifecycleEventsOutput())).not.toEqual([]);
  expect(await pulumi.isSecret(getMachineOutput({ id: pulumi.secret(blue) }))).toBe(true);
  expect(await pulumi.isSecret(one)).toBe(false);
});

test("a key that is a secret of the stack stays out of results and errors", async () => {
  pulumi.runtime.setAllConfig({ "machines:endpoint": local.url, "machines:apiKey": local.apiKey }, [
    "machines:apiKey",
  ]);
  expect(JSON.stringify(await listMachines())).not.toContain(local.apiKey);
  set({ endpoint: local.url, apiKey: "wrong-key-1" });
  const text = await failureOf(listMachines());
  expect(text).toMatch(/^listMachines: the backend "local": .*machines:apiKey/);
  expect(text).not.toContain("wrong-key-1");
});

test.each([
  ["getMachine", () => getMachine({ id: "" }), /^getMachine: id must be the id of a machine$/],
  ["getMachine", () => getMachine({} as never), /^getMachine: id must be the id of a machine$/],
  ["listMachines", () => listMachines({ phases: ["awake" as never] }), /^listMachines: phases\.0 must be/],
  [
    "listMachines",
    () => listMachines({ limit: 0 }),
    /^listMachines: limit must be a whole number of at least 1$/,
  ],
  [
    "listMachines",
    () => listMachines({ color: 1 } as never),
    /^listMachines: color is no argument of listMach/,
  ],
  [
    "listLifecycleEvents",
    () => listLifecycleEvents({ from: "yesterday" }),
    /^listLifecycleEvents: from must be a time in ISO 8601, such as/,
  ],
  [
    "listLifecycleEvents",
    () => listLifecycleEvents({ operation: "boot" as never, order: "up" as never }),
    /^listLifecycleEvents: operation must be one of create, .*; order must be one of asc, desc$/,
  ],
])("%s refuses what it cannot do anything with, %#", async (_name, call, words) => {
  expect(await failureOf(call())).toMatch(words);
});

test("a machine that is not there is named, with the backend", async () => {
  expect(await failureOf(getMachine({ id: "dm-00000000-0000-7000-8000-000000000000" }))).toBe(
    'getMachine: the backend "local": there is no machine dm-00000000-0000-7000-8000-000000000000',
  );
});

test("a control plane that does not answer is named, and what to do", async () => {
  set({ endpoint: "http://127.0.0.1:9", apiKey: "k" });
  expect(await failureOf(listMachines())).toMatch(
    /^listMachines: the backend "local": .*127\.0\.0\.1:9.*machines-local start/,
  );
});

test("settings that cannot be used are named before anything is asked", async () => {
  set({ backend: "moon" });
  expect(await failureOf(listMachines())).toMatch(/^listMachines: "moon" is no backend .*use one of local,/);
  set({ backend: "dedalus" });
  expect(await failureOf(getMachine({ id: "dm-1" }))).toMatch(
    /^getMachine: no API key for the backend "dedal/,
  );
});

test("a backend that has no history, or nothing to select by, is named", async () => {
  set({ backend: "dedalus", endpoint: local.dedalus, apiKey: local.apiKey });
  expect(await failureOf(listLifecycleEvents())).toBe(
    'listLifecycleEvents: the backend "dedalus" has no history of lifecycle events',
  );
  expect(await failureOf(listMachines({ tags: { "pulumi:stack": "dev" } }))).toBe(
    'listMachines: the backend "dedalus" keeps no metadata with a machine; leave out "tags"',
  );
  expect(await failureOf(listMachines({ template: "base" }))).toBe(
    'listMachines: the backend "dedalus" has no templates; leave out "template"',
  );
  expect(idsOf(await listMachines({ phases: ["sleeping"] }))).toEqual([asleep]);
  expect(await getMachine({ id: blue })).toMatchObject({ phase: "running", metadata: {} });
});

test("over the Nullspace dialect the same machines have that service's ids", async () => {
  set({ backend: "nullspace", endpoint: local.nullspace, apiKey: local.apiKey });
  const [machine] = await listMachines({ metadata: { team: "blue" } });
  expect(machine).toMatchObject({ id: blue.replace("dm-", "mch_"), phase: "running" });
  const events = await listLifecycleEvents({ machineId: machine?.id ?? "", status: "succeeded" });
  expect(events).toMatchObject([{ operation: "create", machineId: machine?.id }]);
});
