/** `why` and `doctor` over a real control plane: what they gather, and what they leave alone. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LocalControlPlane } from "../../../provider/src/controlplane/local";
import { DedalusControlPlane } from "../../../provider/src/controlplane/dedalus";
import { NullspaceControlPlane } from "../../../provider/src/controlplane/nullspace";
import { tagsFor } from "../../../provider/src/controlplane/tags";
import { FileJournal } from "../../../provider/src/create-journal";
import { createKey } from "../../../provider/src/identity";
import { compare } from "../../../provider/src/stack/compare";
import { surveyOf } from "../../../provider/src/stack/look";
import { explain } from "../../../provider/src/stack/sentence";
import type { StackState } from "../../../provider/src/stack/stack-state";
import { situationOf } from "../../../provider/src/stack/why";
import { whyText } from "../../../provider/src/stack/why-report";
import { all, keyed, never, running, settled, size, startEmbedded } from "../controlplane/embedded";
import { entry, urn } from "./situations";

const cli = { history: () => Promise.resolve("[]") };
const identity = { stackIdentity: "the-stack", urn };
const tags = tagsFor(identity, 0);
const names = { project: "shop", stack: "dev" };
const empty: StackState = { identity: "the-stack", entries: [], pending: [], urns: new Set() };

let local: Awaited<ReturnType<typeof startEmbedded>>;
let plane: LocalControlPlane;
let folder: string;
let journal: FileJournal;

beforeAll(async () => {
  local = await startEmbedded("null");
  plane = new LocalControlPlane({ url: local.url, apiKey: local.apiKey });
});
afterAll(async () => {
  await plane.close();
  await local.close();
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "machines-journal-"));
  journal = new FileJournal(folder);
});
afterEach(async () => {
  rmSync(folder, { recursive: true, force: true });
  for (const { id } of await all(plane.listMachines({}, { signal: never }))) {
    await plane.deleteMachine(id, keyed());
    await settled(plane, id, "destroyed");
  }
});

const recorded = (id: string): StackState => {
  const one = entry({ ...size, autosleep: undefined, autosleepSeconds: undefined }, { id });
  return { ...empty, entries: [one], urns: new Set([one.urn]) };
};
const why = (asked: string, state: StackState) =>
  situationOf(asked, { state, plane, journal, cli }, { signal: never, nowMs: Date.now() });
const doctor = async (state: StackState) =>
  compare(await surveyOf({ plane, state, journal, signal: never }, names));

describe("with a webhook", () => {
  let hook: Server;
  let url: string;
  let heard: Promise<unknown>;

  beforeAll(async () => {
    hook = createServer((request, response) => {
      request.resume().on("end", () => response.end());
    });
    hook.listen(0, "127.0.0.1");
    await once(hook, "listening");
    url = `http://127.0.0.1:${String((hook.address() as AddressInfo).port)}/private-path?token=abc`;
    heard = once(hook, "request");
  });
  afterAll(() => new Promise((done) => hook.close(done)));

  test("a machine's commands, deliveries and events are in one timeline, and no argument or address is", async () => {
    const webhook = await plane.webhooks.create(
      { url, operations: ["create"], secret: "a-signing-secret", enabled: true },
      { signal: never },
    );
    const id = await running(plane, { ...size, tags });
    await plane.commands.run(
      id,
      { argv: ["/bin/echo", "--password=hunter2"], env: { TOKEN: "hunter3" }, timeoutMs: 10_000 },
      keyed(),
    );
    await heard;
    const told = async (): Promise<boolean> => {
      for await (const { deliveryStatus } of plane.webhooks.deliveries(webhook.id, { signal: never })) {
        if (deliveryStatus === "succeeded") return true;
      }
      return false;
    };
    while (!(await told())) await new Promise(setImmediate);
    const text = whyText(await why("web", recorded(id)), { sinceMs: 3_600_000, secrets: [local.apiKey] });
    expect(text).toMatch(/lifecycle {2}create succeeded by user/);
    expect(text).toMatch(/command {4}echo started\n/);
    expect(text).toMatch(/command {4}echo ended: exit code 0\n/);
    expect(text).toMatch(/webhook {4}create told to 127\.0\.0\.1:\d+: succeeded after 1 try, answered 200/);
    expect(text).not.toMatch(/hunter|private-path|token=|signing/);
    await plane.webhooks.delete(webhook.id, { signal: never });
  });
});

test("a machine that somebody destroyed is told by its id and by its name, and its entry is missing", async () => {
  const id = await running(plane, { ...size, tags });
  await plane.deleteMachine(id, keyed());
  await settled(plane, id, "destroyed");
  expect(explain(await why("web", recorded(id))).code).toBe("destroyed_by_somebody");
  expect((await why(id, empty)).sight).toEqual({ kind: "gone" });
  expect(await doctor(recorded(id))).toMatchObject([
    { kind: "missing", subject: "web", fix: { do: "remove_entry", urn } },
  ]);
});

test("a machine that the state does not know is found by its tags, and its fork is called one", async () => {
  const id = await running(plane, { ...size, tags });
  const fork = await running(plane, { ...size, from: { machine: id }, tags });
  const other = await running(plane, { ...size, tags: tagsFor({ stackIdentity: "other", urn }, 0) });
  await journal.write({ key: createKey(identity, 0), ...identity, machineId: id });
  const found = await doctor(empty);
  expect(found).toHaveLength(3);
  expect(found).toContainEqual(
    expect.objectContaining({ kind: "fork", what: expect.stringContaining(`fork of ${id}`) as string }),
  );
  expect(found).toContainEqual(
    expect.objectContaining({
      kind: "unknown_machine",
      subject: "web",
      fix: expect.objectContaining({ machineId: id }) as object,
    }),
  );
  expect(found).toContainEqual(
    expect.objectContaining({ kind: "namesake", severity: "note", subject: other }),
  );
  // With the machine in the state, its fork still is nothing to delete.
  const rest = await doctor(recorded(id));
  expect(rest.map(({ kind }) => kind)).not.toContain("unknown_machine");
  expect(rest).toContainEqual(expect.objectContaining({ kind: "fork", subject: fork }));
});

test("what a snapshot or a webhook entry names is looked for, too", async () => {
  const state = {
    ...empty,
    entries: [
      entry({}, { noun: "snapshot", id: "snap_0nothing", name: "golden", urn: `${urn}-golden` }),
      entry(
        {},
        { noun: "webhook", id: "7b0f2a34-0000-4000-8000-000000000000", name: "hook", urn: `${urn}-hook` },
      ),
    ],
  };
  const found = await doctor(state);
  expect(found.map(({ kind, subject }) => [kind, subject])).toEqual([
    ["missing", "golden"],
    ["missing", "hook"],
  ]);
});

test("over the Dedalus API alone it says what cannot be known, and the journal finds the machine", async () => {
  const dedalus = new DedalusControlPlane({
    backend: "dedalus",
    baseUrl: local.dedalus,
    apiKey: local.apiKey,
  });
  try {
    const key = createKey(identity, 0);
    const { id } = await dedalus.createMachine(size, keyed(key));
    await settled(dedalus, id, "running");
    await journal.write({ key, ...identity, machineId: id });
    const world = { state: empty, plane: dedalus, journal, cli };
    const situation = await situationOf("web", world, { signal: never, nowMs: Date.now() });
    expect(situation).toMatchObject({ id, foundBy: "journal", sight: { kind: "there" } });
    expect(situation).not.toHaveProperty("events");
    expect(explain(situation)).toMatchObject({
      code: "not_recorded",
      sentence: expect.stringContaining('the backend "dedalus" keeps no history') as string,
    });
    const survey = await surveyOf({ ...world, signal: never }, names);
    expect(compare(survey)).toMatchObject([
      { kind: "unknown_machine", subject: "web", fix: { do: "delete_machine", machineId: id, key } },
    ]);
  } finally {
    await dedalus.close();
  }
});

test("over the Nullspace API alone, tags and history tell as much", async () => {
  const nullspace = new NullspaceControlPlane({
    backend: "nullspace",
    baseUrl: local.nullspace,
    apiKey: local.apiKey,
  });
  try {
    const spec = { vcpu: 1, memoryMiB: 256, storageGiB: 1, tags };
    const { id } = await nullspace.createMachine(spec, keyed());
    await settled(nullspace, id, "running");
    await nullspace.sleepMachine(id, keyed());
    await settled(nullspace, id, "sleeping");
    const world = { state: empty, plane: nullspace, journal, cli };
    const situation = await situationOf("web", world, { signal: never, nowMs: Date.now() });
    expect(situation).toMatchObject({ id, foundBy: "tags", missing: [] });
    expect(explain(situation).sentence).toMatch(/sleeps because it was put to sleep at .* by somebody else/);
    expect(compare(await surveyOf({ ...world, signal: never }, names))).toMatchObject([
      { kind: "unknown_machine", subject: "web", mustBeNamed: true, fix: { machineId: id } },
    ]);
  } finally {
    await nullspace.close();
  }
});

test("a name that nothing knows is refused with the names that there are", async () => {
  await expect(why("nobody", recorded("dm-1"))).rejects.toThrow(
    /^"nobody" is no machine of this stack \(it has web \(dm-1\)\), and no id of a machine that the backend "local" shows/,
  );
});
