/** What a stack and its backend do not agree on. */
import type { MachineDetails } from "../../../provider/src/controlplane/port";
import { tagsFor } from "../../../provider/src/controlplane/tags";
import { createKey } from "../../../provider/src/identity";
import { compare } from "../../../provider/src/stack/compare";
import { agreedTo } from "../../../provider/src/stack/consent";
import type { PendingOperation, StackState } from "../../../provider/src/stack/stack-state";
import type { Look, Survey } from "../../../provider/src/stack/survey";
import { entry, machine, urn } from "./situations";

const identity = { stackIdentity: "the-stack", urn };
const key = createKey(identity, 0);
const tags = tagsFor(identity, 0);
const urnOf = (name: string): string => urn.replace(/web$/, name);
const creating = (name: string): PendingOperation => ({
  urn: urnOf(name),
  name,
  type: "creating",
  isMachine: true,
});

const stateOf = (given: Partial<StackState> = {}): StackState => ({
  identity: "the-stack",
  entries: [],
  pending: [],
  urns: new Set((given.entries ?? []).map((one) => one.urn)),
  ...given,
});

const survey = (given: Partial<Survey> = {}): Survey => ({
  backend: "local",
  hasTags: true,
  state: stateOf(),
  looks: new Map(),
  tagged: [],
  namesakes: [],
  interrupted: [],
  journal: new Map(),
  copiedFrom: new Map(),
  ...given,
});

const there = (given: Partial<MachineDetails> = {}): Map<string, Look> =>
  new Map([["dm-1", { kind: "there", machine: machine(given) }]]);
const recorded = stateOf({ entries: [entry()] });

const kinds = (given: Partial<Survey>): string[] => compare(survey(given)).map(({ kind }) => kind);

test("a stack that agrees with its backend has no findings", () => {
  expect(compare(survey({ state: recorded, looks: there(), tagged: [machine({ tags })] }))).toEqual([]);
});

test("a machine that fell asleep by its own rule is no drift, nor is either state of one that may be in any", () => {
  const asleep = there({ phase: "sleeping", desiredState: "sleeping" });
  expect(kinds({ state: recorded, looks: asleep })).toEqual([]);
  const any = stateOf({ entries: [entry({ desiredState: "any" })] });
  expect(kinds({ state: any, looks: asleep })).toEqual([]);
  expect(kinds({ state: any, looks: there() })).toEqual([]);
});

test.each<[string, Partial<MachineDetails>, Record<string, unknown>, RegExp]>([
  ["sizes", { memoryMiB: 1024 }, {}, /it has 1024 MiB of memory and not 512$/],
  ["autosleep", { autosleepSeconds: 0 }, {}, /it has autosleep never and not 15m$/],
  ["lifetime", { lifetime: {} }, { lifetime: { timeout: "8h" } }, /lifetime\.timeout none and not 8h$/],
  [
    "desired state",
    {},
    { desiredState: "sleeping" },
    /it is wanted running, and the stack asks for sleeping$/,
  ],
])("drift of %s is said for what it is", (_what, has, outputs, words) => {
  const [finding, ...more] = compare(
    survey({ state: stateOf({ entries: [entry(outputs)] }), looks: there(has) }),
  );
  expect(more).toEqual([]);
  expect(finding).toMatchObject({ kind: "drift", severity: "fault", subject: "web" });
  expect(finding?.what).toMatch(words);
  expect(finding).not.toHaveProperty("fix");
});

test("texts that say the same time are no drift, and what the program leaves to the service is none", () => {
  const state = stateOf({
    entries: [entry({ autosleep: "900", lifetime: { timeout: "60m", inactivity: "never" } })],
  });
  const looks = there({ lifetime: { timeout: "1h", deleteAfterSleeping: "7d", then: "sleep" } });
  expect(kinds({ state, looks })).toEqual([]);
});

test("a service that has one clock for idleness, and no machine without a lease, has what was asked for", () => {
  const lifetime = { timeout: "never", inactivity: "30m" };
  const state = stateOf({ entries: [entry({ lifetime, autosleep: undefined, autosleepSeconds: 1800 })] });
  const looks = there({ autosleepSeconds: 1800, lifetime: { timeout: "52w1d", then: "sleep" } });
  expect(kinds({ state, looks })).toEqual([]);
});

test("a failed machine, and one whose last operation failed", () => {
  const failed = there({ phase: "failed", reason: "image_pull", lastError: "no such image" });
  expect(compare(survey({ state: recorded, looks: failed }))[0]).toMatchObject({
    kind: "failed",
    what: 'machine "web" (dm-1) is failed (image_pull): no such image',
    next: expect.stringContaining('"pulumi up --refresh" repairs it') as string,
  });
  const unfinished = stateOf({ entries: [entry({}, { initErrors: ["it took too long"] })] });
  expect(kinds({ state: unfinished, looks: there() })).toEqual(["unfinished"]);
});

test("an entry without a machine can be taken out of the state; one that is only read cannot", () => {
  const looks = new Map<string, Look>([["dm-1", { kind: "gone" }]]);
  expect(compare(survey({ state: recorded, looks }))).toMatchObject([
    { kind: "missing", severity: "fault", fix: { do: "remove_entry", urn } },
  ]);
  const [read] = compare(survey({ state: stateOf({ entries: [entry({}, { isRead: true })] }), looks }));
  expect(read).toMatchObject({ kind: "missing", severity: "fault" });
  expect(read).not.toHaveProperty("fix");
  const replaced = stateOf({ entries: [entry({}, { isReplaced: true })] });
  expect(compare(survey({ state: replaced, looks }))).toMatchObject([{ kind: "missing", severity: "note" }]);
});

test("what could not be looked at is not called missing, and what is on another backend is called so once", () => {
  const unasked = new Map<string, Look>([["dm-1", { kind: "unasked", why: "503" }]]);
  expect(kinds({ state: recorded, looks: unasked })).toEqual([]);
  const entries = [entry(), entry({}, { id: "dm-2", name: "db", urn: urnOf("db") })];
  const looks = new Map<string, Look>(
    entries.map(({ id }) => [id, { kind: "elsewhere", backend: "dedalus" }]),
  );
  const found = compare(survey({ state: stateOf({ entries }), looks }));
  expect(found.map(({ kind }) => kind)).toEqual(["other_backend"]);
  expect(found[0]?.what).toMatch(/^web, db were deployed to the backend "dedalus"/);
});

describe("a machine that the state does not know", () => {
  const lost = machine({ tags });

  test("of a create that was interrupted, by the state's pending operation, may be deleted without being named", () => {
    const found = compare(survey({ state: stateOf({ pending: [creating("web")] }), tagged: [lost] }));
    expect(found).toMatchObject([
      { kind: "unknown_machine", fix: { do: "delete_machine", machineId: "dm-1", key } },
      { kind: "pending_operation", fix: { do: "clear_pending", needs: ["dm-1"] } },
    ]);
    expect(found[0]?.next).toContain('adopt: "dm-1"');
    expect(agreedTo(found, []).agreed).toHaveLength(2);
  });

  test("of a create that was interrupted, by the journal of this computer", () => {
    const journal = new Map([[key, { key, urn, machineId: "dm-1" }]]);
    const [found] = compare(survey({ tagged: [lost], journal }));
    expect(found).toMatchObject({ kind: "unknown_machine", fix: { do: "delete_machine" } });
    expect(found).not.toHaveProperty("mustBeNamed");
  });

  test("of which nothing tells how it came must be named before it is deleted", () => {
    const found = compare(survey({ tagged: [lost] }));
    expect(found).toMatchObject([{ kind: "unknown_machine", mustBeNamed: true }]);
    expect(agreedTo(found, [])).toMatchObject({
      agreed: [],
      others: [{ outcome: "not asked", why: expect.stringContaining("--delete dm-1") as string }],
    });
    expect(agreedTo(found, ["dm-1"]).agreed).toHaveLength(1);
    expect(agreedTo(found, ["dm-2"]).agreed).toEqual([]);
  });

  test("is no left-over of a pending create that comes after it, nor of an update that is pending", () => {
    const replaced = stateOf({
      entries: [entry({ __generation: 1 }, { id: "dm-7" })],
      pending: [creating("web")],
    });
    const looks = new Map<string, Look>([["dm-7", { kind: "there", machine: machine({ id: "dm-7" }) }]]);
    const before = compare(survey({ state: replaced, looks, tagged: [lost] }));
    expect(before[0]).toMatchObject({ kind: "unknown_machine", mustBeNamed: true });
    const updating = stateOf({ pending: [{ ...creating("web"), type: "updating" }] });
    expect(compare(survey({ state: updating, tagged: [lost] }))[0]).toMatchObject({ mustBeNamed: true });
  });

  test("which the stack let go must be named, too, even while another create of it is pending", () => {
    const journal = new Map([[key, { key, urn, machineId: "dm-1", recorded: true, answered: true }]]);
    const pending = stateOf({ pending: [creating("web")] });
    expect(compare(survey({ state: pending, tagged: [lost], journal }))[0]).toMatchObject({
      kind: "let_go_machine",
      mustBeNamed: true,
    });
    expect(compare(survey({ tagged: [lost], journal }))).toMatchObject([
      { kind: "let_go_machine", mustBeNamed: true },
    ]);
  });

  test("is none when it is on its way out, or in the state by another dialect's id", () => {
    expect(kinds({ tagged: [{ ...lost, phase: "destroying" }] })).toEqual([]);
    expect(kinds({ tagged: [{ ...lost, desiredState: "destroyed" }] })).toEqual([]);
    const state = stateOf({ entries: [entry({}, { id: "mch_1" })] });
    expect(kinds({ state, tagged: [lost] })).toEqual([]);
  });

  test("without tags is known by the journal alone", () => {
    const interrupted = [
      { entry: { key, urn, machineId: "dm-1" }, look: { kind: "there", machine: machine() } as const },
    ];
    expect(compare(survey({ backend: "dedalus", hasTags: false, interrupted }))).toMatchObject([
      { kind: "unknown_machine", subject: "web", fix: { do: "delete_machine", machineId: "dm-1", key } },
    ]);
  });
});

describe("a copy that carries the tags of its source", () => {
  const copy = machine({ id: "dm-2", tags, createdAt: "2026-11-23T10:00:00Z" });
  const source = machine({ tags, createdAt: "2026-11-23T09:00:00Z" });

  test.each<[string, Partial<Survey>]>([
    ["in the state", { state: recorded, looks: there(), tagged: [source, copy] }],
    ["by the journal", { tagged: [copy], journal: new Map([[key, { key, machineId: "dm-1" }]]) }],
    ["by its history", { tagged: [copy], copiedFrom: new Map([["dm-2", "dm-1"]]) }],
  ])("is a note that names the source, %s, and is never deleted", (_how, given) => {
    const found = compare(survey(given));
    expect(found).toMatchObject([{ kind: "fork", severity: "note", subject: "dm-2" }]);
    expect(found[0]?.what).toContain("fork of dm-1");
    expect(agreedTo(found, ["dm-2"])).toEqual({ agreed: [], others: [] });
  });

  test("the older of two unknown ones with one key is the original", () => {
    const found = compare(survey({ tagged: [copy, source] }));
    expect(found.map(({ kind, subject }) => [kind, subject])).toEqual([
      ["fork", "dm-2"],
      ["unknown_machine", "web"],
    ]);
  });

  test("a copy that the stack itself made has a key of its own, and is unknown like any other", () => {
    const own = machine({ id: "dm-2", tags: tagsFor({ ...identity, urn: urnOf("copy") }, 0) });
    const found = compare(
      survey({
        state: recorded,
        looks: there(),
        tagged: [source, own],
        copiedFrom: new Map([["dm-2", "dm-1"]]),
      }),
    );
    expect(found).toMatchObject([{ kind: "unknown_machine", subject: "copy" }]);
  });
});

describe("pending operations", () => {
  test("of a machine that is not there can be cleared", () => {
    expect(compare(survey({ state: stateOf({ pending: [creating("web")] }) }))).toMatchObject([
      { kind: "pending_operation", fix: { do: "clear_pending", needs: [] } },
    ]);
  });

  test("of a machine that a later deploy found again can be cleared", () => {
    const state = stateOf({ entries: [entry()], pending: [creating("web")] });
    expect(compare(survey({ state, looks: there(), tagged: [machine({ tags })] }))).toMatchObject([
      { kind: "pending_operation", fix: { do: "clear_pending", needs: [] } },
    ]);
  });

  test("of something else are left to a refresh, since clearing forgets them all", () => {
    const bucket = {
      urn: "urn:pulumi:dev::shop::aws:s3/bucket:Bucket::b",
      name: "b",
      type: "creating",
      isMachine: false,
    };
    const [found] = compare(survey({ state: stateOf({ pending: [creating("web"), bucket] }) }));
    expect(found?.next).toContain('"pulumi refresh" asks what became of "b"');
    expect(found).not.toHaveProperty("fix");
  });
});

describe("the create journal", () => {
  const begun = { key, urn, machineId: "dm-1" };

  test("is closed where no machine is behind an entry, or the state has it", () => {
    expect(compare(survey({ interrupted: [{ entry: begun, look: { kind: "gone" } }] }))).toMatchObject([
      { kind: "stale_journal", fix: { do: "close_journal", key, as: "gone" } },
    ]);
    const look = { kind: "there", machine: machine() } as const;
    const inState = { state: recorded, looks: there(), interrupted: [{ entry: begun, look }] };
    expect(compare(survey(inState))).toMatchObject([{ kind: "stale_journal", fix: { as: "recorded" } }]);
  });

  test("of a create without an answer: tags say that nothing came of it, and without tags nobody knows", () => {
    const interrupted = [{ entry: { key, urn } }];
    expect(compare(survey({ interrupted }))).toMatchObject([{ kind: "stale_journal", fix: { as: "gone" } }]);
    const [found] = compare(survey({ backend: "dedalus", hasTags: false, interrupted }));
    expect(found).toMatchObject({ kind: "interrupted_create", severity: "fault" });
    expect(found).not.toHaveProperty("fix");
    const journal = new Map([[key, { key, urn }]]);
    expect(kinds({ interrupted, journal, tagged: [machine({ tags })] })).toEqual(["unknown_machine"]);
  });

  test("says nothing of a machine that could not be looked at", () => {
    expect(kinds({ interrupted: [{ entry: begun, look: { kind: "unasked", why: "503" } }] })).toEqual([]);
  });
});

test("machines of a stack with the same names and another identity are a note, and are left alone", () => {
  const other = machine({ id: "dm-9", tags: tagsFor({ stackIdentity: "another", urn }, 0) });
  const found = compare(survey({ namesakes: [other] }));
  expect(found).toMatchObject([{ kind: "namesake", severity: "note" }]);
  expect(agreedTo(found, ["dm-9"]).agreed).toEqual([]);
  expect(kinds({ namesakes: [{ ...other, phase: "destroyed" }] })).toEqual([]);
});
