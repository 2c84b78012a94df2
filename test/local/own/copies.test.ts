/** Machines from snapshots and from machines, and snapshots with metadata: over HTTP, with real disks. */
import type { Local } from "../../../local/src/start-local";
import { locations, newKey, OwnApi, startTestLocal } from "./control-plane";

let local: Local;
let api: OwnApi;
let parent: string;
beforeAll(async () => {
  local = await startTestLocal({ driver: "auto" });
  api = new OwnApi(local);
  parent = await api.running({
    dedalus: { vcpu: 0.5, memory_mib: 256, storage_gib: 2, autosleep: "1h" },
    nullspace: { metadata: { role: "parent" }, envs: { NAME: "of the parent" }, timeout_ms: 3_600_000 },
  });
  await run(parent, "echo kept > /root/note");
}, 60_000);
afterAll(() => local.close());

const run = async (id: string, command: string): Promise<unknown> => {
  const answer = await api.nullspace.ask("POST", `/v1/machines/mch_${id}/exec`, {
    body: { command, shell: true },
  });
  if (answer.status !== 200) throw new Error(JSON.stringify(answer.json));
  return answer.json["stdout"];
};
const sizesOf = async (id: string) => (await api.dedalus.ask("GET", `/v1/machines/dm-${id}`)).json;
const forksOf = async (id: string): Promise<unknown[]> =>
  (
    await api.nullspace.ask(
      "GET",
      `/v1/lifecycle/events?source_machine_id=mch_${id}&operation=fork&status=requested`,
    )
  ).json["events"] as unknown[];

it("a fork has the disk and variables of its parent, and sizes, metadata and lease of its own", async () => {
  const fork = await api.running({
    fork_of: `dm-${parent}`,
    dedalus: { vcpu: 1, storage_gib: 4 },
    nullspace: { metadata: { "pulumi:key": "k-2" }, timeout_ms: 7_200_000, timeout_action: "hibernate" },
  });
  expect(await run(fork, 'cat /root/note; echo "$NAME"')).toBe("kept\nof the parent\n");
  expect(await sizesOf(fork)).toMatchObject({
    ...{ vcpu: 1, memory_mib: 256, storage_gib: 4 },
    autosleep_seconds: 300,
  });
  const info = await api.info(fork);
  expect(info).toMatchObject({ metadata: { "pulumi:key": "k-2" }, timeout_ms: 7_200_000 });
  expect((await api.info(parent))["metadata"]).toEqual({ role: "parent" });
});

it("a fork without any of its own has no lease and no metadata, but the source's sizes", async () => {
  const fork = await api.running({ fork_of: `dm-${parent}` });
  expect(await sizesOf(fork)).toMatchObject({ vcpu: 0.5, memory_mib: 256, storage_gib: 2 });
  const info = await api.info(fork);
  expect(info["metadata"]).toEqual({});
  expect(info).not.toHaveProperty("timeout_ms");
});

it("a repeated fork is one machine", async () => {
  const key = newKey();
  const body = { fork_of: `dm-${parent}`, nullspace: { metadata: { n: 1 } } };
  const [first, second] = await Promise.all([
    api.ask("/machines", body, key),
    api.ask("/machines", body, key),
  ]);
  expect(first.status).toBe(202);
  expect(second.json).toEqual(first.json);
});

it("a snapshot carries its own metadata, or the machine's, and makes machines of other sizes", async () => {
  const key = newKey();
  const path = `/machines/dm-${parent}/snapshots`;
  const made = await api.ask(path, { metadata: { golden: true } }, key);
  expect([made.status, made.json]).toEqual([
    201,
    expect.objectContaining({ machine_id: `mch_${parent}`, metadata: { golden: true } }),
  ]);
  const id = String(made.json["id"]);
  expect((await api.nullspace.ask("GET", `/v1/snapshots/${id}`)).json).toEqual(made.json);
  expect((await api.ask(path, { metadata: { golden: true } }, key)).json).toEqual(made.json);
  expect((await api.ask(path, { metadata: { golden: false } }, key)).json["error_code"]).toBe(
    "IDEMPOTENCY_KEY_REUSED",
  );
  expect((await api.ask(path)).json["metadata"]).toEqual({ role: "parent" });

  const machine = await api.running({
    dedalus: { memory_mib: 512, storage_gib: 3, autosleep: "never" },
    nullspace: { snapshot_id: id, metadata: { replica: 1 }, network: { egress: { mode: "allow_all" } } },
  });
  expect(await run(machine, "cat /root/note")).toBe("kept\n");
  expect(await sizesOf(machine)).toMatchObject({
    ...{ vcpu: 0.5, memory_mib: 512, storage_gib: 3 },
    autosleep_seconds: 0,
  });
  expect((await api.info(machine))["metadata"]).toEqual({ replica: 1 });
  const told = await api.nullspace.ask("DELETE", `/v1/snapshots/${id}`);
  expect(told.status).toBe(204);
});

it("a copy with a smaller disk is refused before anything is copied", async () => {
  const before = await forksOf(parent);
  const fork = await api.ask("/machines", { fork_of: `dm-${parent}`, dedalus: { storage_gib: 1 } });
  expect([fork.status, locations(fork)]).toEqual([422, ["body.dedalus.storage_gib"]]);
  const snapshot = await api.ask(`/machines/dm-${parent}/snapshots`);
  const body = { dedalus: { storage_gib: 1 }, nullspace: { snapshot_id: snapshot.json["id"] } };
  const machine = await api.ask("/machines", body);
  expect([machine.status, locations(machine)]).toEqual([422, ["body.dedalus.storage_gib"]]);
  expect(await forksOf(parent)).toEqual(before);
});

it("a snapshot of a machine that is not there, or with too much metadata, is refused", async () => {
  const none = await api.ask("/machines/dm-none/snapshots", {});
  expect([none.status, none.json["error_code"]]).toEqual([404, "machine_not_found"]);
  const large = await api.ask(`/machines/dm-${parent}/snapshots`, { metadata: { a: "x".repeat(70_000) } });
  expect([large.status, locations(large)]).toEqual([422, ["body.metadata"]]);
  expect(locations(await api.ask(`/machines/dm-${parent}/snapshots`, { name: "x" }))).toEqual(["body.name"]);
});
