import { inspect } from "node:util";
import { DedalusClient, type DedalusClientOptions } from "../../sdk/src/dedalus/client";
import { ProtocolError, UsageError } from "../../sdk/src/errors";
import { httpServer, sendJson, type Answer, type Loopback } from "./loopback";
import { machineId, wireMachine } from "./machine-wire";
import { patientDeps } from "./patient";

const open: AsyncDisposable[] = [];
const environment = { ...process.env };
afterEach(async () => {
  process.env = { ...environment };
  for (const each of open.splice(0)) await each[Symbol.asyncDispose]();
});
beforeEach(() => {
  for (const name of ["BASE_URL", "API_KEY", "X_API_KEY", "ORG_ID"]) delete process.env[`DEDALUS_${name}`];
});

async function serve(answer: Answer): Promise<Loopback> {
  const server = await httpServer(answer);
  open.push(server);
  return server;
}
function clientOf(options: DedalusClientOptions): DedalusClient {
  const client = new DedalusClient({ deps: patientDeps(), ...options });
  open.push(client);
  return client;
}
const running = wireMachine({ phase: "running", revision: "43" });
const ok: Answer = (response) => sendJson(response, 200, running, { etag: '"43"', "x-request-id": "req-1" });

describe("settings", () => {
  test("come from the environment when the client is made", async () => {
    const server = await serve(ok);
    process.env.DEDALUS_BASE_URL = server.url;
    process.env.DEDALUS_API_KEY = "from-env";
    process.env.DEDALUS_X_API_KEY = "x-from-env";
    process.env.DEDALUS_ORG_ID = "org-1";
    const client = clientOf({});
    delete process.env.DEDALUS_API_KEY;
    await client.machines.get(machineId);
    expect(server.seen[0]?.headers).toMatchObject({
      authorization: "Bearer from-env",
      "x-api-key": "x-from-env",
      "x-dedalus-org-id": "org-1",
    });
  });

  test("given here win, and a key from the environment is not sent beside one that is given", async () => {
    const server = await serve(ok);
    process.env.DEDALUS_BASE_URL = "http://127.0.0.1:9";
    process.env.DEDALUS_API_KEY = "production";
    process.env.DEDALUS_ORG_ID = "org-1";
    await clientOf({ baseUrl: server.url, xApiKey: "local", organizationId: "" }).machines.get(machineId);
    expect(server.seen[0]?.headers["x-api-key"]).toBe("local");
    expect(server.seen[0]?.headers).not.toHaveProperty("authorization");
    expect(server.seen[0]?.headers).not.toHaveProperty("x-dedalus-org-id");
  });

  test("both keys given are both sent", async () => {
    const server = await serve(ok);
    await clientOf({ baseUrl: server.url, apiKey: "a", xApiKey: "b" }).machines.get(machineId);
    expect(server.seen[0]?.headers).toMatchObject({ authorization: "Bearer a", "x-api-key": "b" });
  });

  test.each<[string, DedalusClientOptions, string]>([
    ["no key", {}, "missing_api_key"],
    ["a key with a line break", { apiKey: "secret\n" }, "invalid_api_key"],
    ["a key that is no ASCII", { xApiKey: "secreté" }, "invalid_api_key"],
    ["a base URL that is none", { apiKey: "k", baseUrl: "dcs" }, "invalid_base_url"],
    ["a base URL of another kind", { apiKey: "k", baseUrl: "ftp://secret" }, "invalid_base_url"],
    ["a base URL with a password", { apiKey: "k", baseUrl: "http://me:secret@h" }, "invalid_base_url"],
    ["a base URL with a query", { apiKey: "k", baseUrl: "http://h/?key=secret" }, "invalid_base_url"],
    ["no time", { apiKey: "k", timeoutMs: 0 }, "invalid_argument"],
    ["retries that are no number", { apiKey: "k", maxRetries: NaN }, "invalid_argument"],
  ])("%s is refused at once, without repeating it", (_name, options, code) => {
    const make = () => new DedalusClient(options);
    expect(make).toThrow(UsageError);
    expect(make).toThrow(expect.objectContaining({ code }) as Error);
    expect(make).not.toThrow(/secret/);
  });

  test("are not shown with the key when the client is printed", () => {
    const client = clientOf({ baseUrl: "http://127.0.0.1:9", apiKey: "sk-secret" });
    expect(inspect(client, { depth: 10, showHidden: true })).not.toContain("sk-secret");
    expect(JSON.stringify(client)).not.toContain("sk-secret");
  });
});

describe("machines", () => {
  test("every change goes where the contract says, with a key of its own", async () => {
    const server = await serve((response) => sendJson(response, 202, running));
    const { machines } = clientOf({ baseUrl: server.url, apiKey: "k" });
    const created = await machines.create({ vcpu: 0.25, memoryMiB: 512, storageGiB: 4, autosleep: "15m" });
    await machines.update(
      machineId,
      { memoryMiB: 1024, vcpu: undefined },
      { ifMatch: "43", idempotencyKey: "mine" },
    );
    await machines.sleep(machineId);
    await machines.wake(machineId);
    await machines.delete(machineId, { ifMatch: "44" });
    expect(created).toMatchObject({
      machineId,
      autosleepSeconds: 300,
      status: { phase: "running", revision: "43" },
    });
    expect(server.seen.map(({ method, url, body }) => [method, url, body])).toEqual([
      ["POST", "/v1/machines", '{"vcpu":0.25,"memory_mib":512,"storage_gib":4,"autosleep":"15m"}'],
      ["PATCH", "/v1/machines/dm-one", '{"memory_mib":1024}'],
      ["POST", "/v1/machines/dm-one/sleep", ""],
      ["POST", "/v1/machines/dm-one/wake", ""],
      ["DELETE", "/v1/machines/dm-one", ""],
    ]);
    expect(new Set(server.seen.map((request) => request.headers["idempotency-key"])).size).toBe(5);
    expect(server.seen[1]?.headers).toMatchObject({ "if-match": "43", "idempotency-key": "mine" });
    expect(server.seen[4]?.headers).toMatchObject({ "if-match": "44" });
    expect(server.seen[2]?.headers).not.toHaveProperty("if-match");
  });

  test("a machine keeps the request id of its answer and the fields that this version does not know", async () => {
    const wire = { ...running, color: "green", status: { ...running.status, mood: "calm" } };
    const server = await serve((response) => sendJson(response, 200, wire, { "x-request-id": "req-1" }));
    const machine = await clientOf({ baseUrl: server.url, apiKey: "k" }).machines.get(machineId);
    expect(machine).toMatchObject({ requestId: "req-1", raw: { color: "green", status: { mood: "calm" } } });
  });

  const sizes = { vcpu: 1, memory_mib: 2048, storage_gib: 10, desired_state: "running" };
  const uuid = "0b5e3c1e-6f4a-4c19-9a77-2d1f6f0d8b11";
  const status = { phase: "running", reason: "", retryable: false, revision: "42" };
  test.each<[string, object, object]>([
    [
      "first",
      { ...sizes, machine_id: "dm-a", status },
      { machineId: "dm-a", status: { phase: "running", revision: "42" } },
    ],
    ["second", { ...sizes, machine_id: "dm-a", autosleep_seconds: 0, status }, { autosleepSeconds: 0 }],
    [
      "third, flat",
      { ...sizes, machine_id: uuid, phase: "starting", autosleep_seconds: null },
      { machineId: uuid, status: { phase: "starting", reason: "", retryable: false } },
    ],
    [
      "third, with its own fields",
      { ...sizes, machine_id: uuid, status: { ...status, memory_resize_state: "stable", last_error: null } },
      { machineId: uuid, status: { phase: "running" } },
    ],
    [
      "next one, with a phase that nobody knows",
      { ...sizes, machine_id: "x", desired_state: "floating", status: { phase: "defrosting" } },
      { desiredState: "floating", status: { phase: "defrosting" } },
    ],
  ])("answers of the %s generation parse", async (_name, wire, expected) => {
    const server = await serve((response) => sendJson(response, 200, wire));
    const machine = await clientOf({ baseUrl: server.url, apiKey: "k" }).machines.get(uuid);
    expect(machine).toMatchObject(expected);
    expect(machine).not.toHaveProperty("lastError");
  });

  test("an answer that is no machine is an error that names what is missing", async () => {
    const server = await serve((response) =>
      sendJson(response, 200, { hello: "k3y" }, { "x-request-id": "req-7" }),
    );
    const failure = clientOf({ baseUrl: server.url, apiKey: "k3y" }).machines.get(machineId);
    await expect(failure).rejects.toBeInstanceOf(ProtocolError);
    await expect(failure).rejects.toMatchObject({
      code: "unexpected_answer",
      requestId: "req-7",
      rawBody: '{"hello":"[redacted]"}',
      message: expect.stringContaining("machine_id") as string,
    });
  });

  test.each<[string, (client: DedalusClient) => Promise<unknown>]>([
    ["an empty id", (client) => client.machines.get("")],
    ["an id that names another path", (client) => client.machines.delete("..")],
    [
      "a size that is no number",
      (client) => client.machines.create({ vcpu: NaN, memoryMiB: 1, storageGiB: 1 }),
    ],
    ["half a MiB", (client) => client.machines.update(machineId, { memoryMiB: 0.5 })],
    ["an empty command", (client) => client.executions.create(machineId, { command: [] })],
  ])("%s is refused before anything is sent", async (_name, call) => {
    const server = await serve(ok);
    const failure = call(clientOf({ baseUrl: server.url, apiKey: "k" }));
    await expect(failure).rejects.toMatchObject({ name: "UsageError", code: "invalid_argument" });
    expect(server.seen).toEqual([]);
  });

  test("an id stays one path segment", async () => {
    const server = await serve(ok);
    await clientOf({ baseUrl: server.url, apiKey: "k" }).machines.get("a/b?c");
    expect(server.seen[0]?.url).toBe("/v1/machines/a%2Fb%3Fc");
  });
});

describe("lists", () => {
  const item = (id: string) => ({ ...running, machine_id: id, created_at: "2026-05-12T00:00:00Z" });
  const pages: Record<string, object> = {
    "/v1/machines?limit=2": { items: [item("dm-a"), item("dm-b")], next_cursor: "c 1" },
    "/v1/machines?limit=2&cursor=c+1": { items: [item("dm-c")], next_cursor: "" },
    "/v1/machines?cursor=null": { items: null },
    "/v1/machines?cursor=empty": { items: [], next_cursor: "on" },
    "/v1/machines?cursor=loop": { items: [item("dm-a")], next_cursor: "loop" },
  };
  const serveLists = () => serve((response, { url }) => sendJson(response, 200, pages[url]));

  test("are items over all pages, pages, or the first page, and nothing is asked before", async () => {
    const server = await serveLists();
    const list = clientOf({ baseUrl: server.url, apiKey: "k" }).machines.list({ limit: 2 });
    expect(server.seen).toEqual([]);
    const ids: string[] = [];
    for await (const machine of list) ids.push(machine.machineId);
    expect(ids).toEqual(["dm-a", "dm-b", "dm-c"]);
    const counts: number[] = [];
    for await (const page of list.pages()) counts.push(page.items.length);
    expect(counts).toEqual([2, 1]);
    expect(await list.page()).toMatchObject({
      nextCursor: "c 1",
      items: [{ createdAt: "2026-05-12T00:00:00Z" }, {}],
    });
  });

  test("may have null for items, and an empty page is the last one", async () => {
    const server = await serveLists();
    const { machines } = clientOf({ baseUrl: server.url, apiKey: "k" });
    for (const cursor of ["null", "empty"]) {
      for await (const machine of machines.list({ cursor })) throw new Error(machine.machineId);
    }
    expect(server.seen).toHaveLength(2);
  });

  test("whose cursor repeats end with an error instead of never", async () => {
    const server = await serveLists();
    const { machines } = clientOf({ baseUrl: server.url, apiKey: "k" });
    const ids: string[] = [];
    const failure = (async () => {
      for await (const machine of machines.list({ cursor: "loop" })) ids.push(machine.machineId);
    })();
    await expect(failure).rejects.toMatchObject({ code: "repeated_cursor" });
    expect(ids).toEqual(["dm-a"]);
  });
});
