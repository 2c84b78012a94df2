/** The status stream of a service that has one, as `machines.watchStatus` reads it. */
import { NotFoundError, NotImplementedError } from "../../../sdk/src/errors";
import { NullspaceClient } from "../../../sdk/src/nullspace/client";
import { startTestLocal } from "../../local/dedalus/control-plane";
import { HostedProxy } from "../../provider/controlplane/hosted-proxy";
import { CuttingProxy } from "./cutting-proxy";

jest.setTimeout(60_000);
let local: Awaited<ReturnType<typeof startTestLocal>>;
let client: NullspaceClient;

beforeAll(async () => {
  local = await startTestLocal({ driver: "null" });
  client = new NullspaceClient({ baseUrl: local.nullspace, apiKey: local.apiKey });
});
afterAll(async () => {
  await client.close();
  await local.close();
});
afterEach(() => local.faults.replace({ rules: [] }));

/** A machine that is on its way for a while, whose create still waits. */
async function starting(stallMs: number): Promise<{ id: string; made: Promise<unknown> }> {
  local.faults.replace({ rules: [{ on: "start", after: 0, times: 1, stallMs }] });
  const known = new Set<string>();
  for await (const { id } of client.machines.list()) known.add(id);
  const made = client.machines.create();
  made.catch(() => undefined);
  for (;;) {
    for await (const { id } of client.machines.list()) if (!known.has(id)) return { id, made };
  }
}

test("tells every phase until the machine has settled, with reasons and revisions", async () => {
  const { id } = await starting(300);
  const phases: string[] = [];
  for await (const { status } of client.machines.watchStatus(id)) {
    phases.push(status.phase);
    expect(status.revision).toMatch(/^\d+$/);
  }
  expect(phases.at(0)).toBe("starting");
  expect(phases.at(-1)).toBe("running");
});

test("ends at once at a machine that stands where it was asked to be", async () => {
  const { id } = await client.machines.create();
  const views = [];
  for await (const view of client.machines.watchStatus(id)) views.push(view.status.phase);
  expect(views).toEqual(["running"]);
});

test("goes on over connections that are cut after any number of bytes, without a repeated revision", async () => {
  await using proxy = await CuttingProxy.before(local.nullspace);
  await using cut = new NullspaceClient({ baseUrl: proxy.url, apiKey: local.apiKey });
  for (const bytes of [0, 50, 400, 700, 1_000]) {
    const { id, made } = await starting(200);
    proxy.cuts = [bytes, bytes + 300];
    const revisions: string[] = [];
    for await (const { status } of cut.machines.watchStatus(id)) revisions.push(status.revision ?? "");
    expect(new Set(revisions).size).toBe(revisions.length);
    await made;
    expect((await client.machines.get(id)).status).toBe("running");
  }
});

test.each([404, 405, 501])(
  "a service that answers %d has none, and one without the machine says that",
  async (status) => {
    await using proxy = await HostedProxy.before(local.nullspace);
    proxy.hidden = /^never$/;
    proxy.missing = /\/status\/stream$/;
    proxy.missingStatus = status;
    await using hosted = new NullspaceClient({ baseUrl: proxy.url, apiKey: local.apiKey });
    const { id } = await client.machines.create();
    const watch = async (machineId: string) => {
      for await (const _view of hosted.machines.watchStatus(machineId)) break;
    };
    await expect(watch(id)).rejects.toThrow(NotImplementedError);
    await expect(watch(id)).rejects.toMatchObject({ code: "no_status_stream", machineId: id });
    await expect(watch("mch_doesnotexist")).rejects.toThrow(NotFoundError);
  },
);

test("one that never says anything is not waited for longer than was asked", async () => {
  await using proxy = await HostedProxy.before(local.nullspace);
  proxy.hidden = /^never$/;
  proxy.silent = /\/status\/stream$/;
  await using silent = new NullspaceClient({ baseUrl: proxy.url, apiKey: local.apiKey });
  const { id } = await client.machines.create();
  const watched = (async () => {
    for await (const _view of silent.machines.watchStatus(id, { timeoutMs: 300 })) break;
  })();
  await expect(watched).rejects.toMatchObject({ code: "deadline_exceeded", machineId: id });
});

test("a machine that is destroyed meanwhile ends it with that", async () => {
  const { id } = await starting(30_000);
  const phases: string[] = [];
  for await (const { status } of client.machines.watchStatus(id)) {
    if (phases.push(status.phase) === 1) await client.machines.delete(id);
  }
  expect(phases.at(-1)).toBe("destroyed");
});

test("the signal ends it", async () => {
  const { id, made } = await starting(500);
  const stop = new AbortController();
  const watched = (async () => {
    for await (const _view of client.machines.watchStatus(id, { signal: stop.signal }))
      stop.abort(new Error("enough"));
  })();
  await expect(watched).rejects.toThrow("enough");
  await made;
});
