/** Whatever is sent: a clear 4xx in the contract's envelope, all violations at once, never a 5xx. */
import { connect } from "node:net";
import fc from "fast-check";
import { statePaths } from "../../../local/src/state-folder";
import type { Local } from "../../../local/src/start-local";
import { readFileSync } from "node:fs";
import { Api, newKey, smallest, startTestLocal } from "./control-plane";

let local: Local;
let api: Api;
beforeAll(async () => {
  local = await startTestLocal();
  api = new Api(local);
});
afterAll(() => local.close());

const locations = (json: Record<string, unknown>): string[] =>
  (json["errors"] as { location: string }[]).map(({ location }) => location).sort();

describe("a create request", () => {
  it("is told everything that is wrong with it at once", async () => {
    const body = { vcpu: 0.3, memory_mib: 1, storage_gib: 1.5, autosleep: "soon", color: "red" };
    const answer = await api.ask("POST", "/v1/machines", { body });
    expect(answer.status).toBe(422);
    const places = ["body.autosleep", "body.color", "body.memory_mib", "body.storage_gib", "body.vcpu"];
    expect(locations(answer.json)).toEqual(places);
  });

  it.each([
    ["nothing", {}, ["body.memory_mib", "body.storage_gib", "body.vcpu"]],
    ["a list", [], ["body"]],
    ["null", null, ["body"]],
    ["a text", "x", ["body"]],
    [
      "texts for numbers",
      { vcpu: "1", memory_mib: "256", storage_gib: "1" },
      ["body.memory_mib", "body.storage_gib", "body.vcpu"],
    ],
    ["null sizes", { ...smallest, vcpu: null }, ["body.vcpu"]],
    ["no vCPU", { ...smallest, vcpu: 0 }, ["body.vcpu"]],
    ["fewer than none", { ...smallest, vcpu: -1 }, ["body.vcpu"]],
    ["too many", { ...smallest, vcpu: 16.25 }, ["body.vcpu"]],
    ["an eighth", { ...smallest, vcpu: 0.375 }, ["body.vcpu"]],
    ["a number beyond 2^53", { ...smallest, memory_mib: 9007199254740993 }, ["body.memory_mib"]],
    ["a fraction of a GiB", { ...smallest, storage_gib: 1.5 }, ["body.storage_gib"]],
    ["a number as autosleep", { ...smallest, autosleep: 300 }, ["body.autosleep"]],
    ["null as autosleep", { ...smallest, autosleep: null }, ["body.autosleep"]],
    ["an autosleep over the maximum", { ...smallest, autosleep: "9223372037" }, ["body.autosleep"]],
    ["units in the wrong order", { ...smallest, autosleep: "1s2h" }, ["body.autosleep"]],
    ["fields of other generations", { ...smallest, name: "a", image: "b" }, ["body.image", "body.name"]],
  ])("with %s is refused where it is wrong", async (_name, body, places) => {
    const answer = await api.ask("POST", "/v1/machines", { body });
    expect([answer.status, locations(answer.json)]).toEqual([422, places]);
  });

  it.each([
    ["no JSON", "{", 400],
    ["nothing at all", "", 422],
    ["a number too large for a double", '{"vcpu":1e999,"memory_mib":256,"storage_gib":1}', 422],
    ["NaN", '{"vcpu":NaN}', 400],
    ["__proto__", '{"__proto__":{"vcpu":1}}', 400],
    ["constructor.prototype", '{"constructor":{"prototype":{"vcpu":1}}}', 400],
    ["a depth of 100,000", `${"[".repeat(100_000)}${"]".repeat(100_000)}`, 422],
    ["a deep field", `{"vcpu":${"[".repeat(100_000)}${"]".repeat(100_000)}}`, 422],
    [
      "50,000 unknown fields",
      JSON.stringify(Object.fromEntries(Array.from({ length: 50_000 }, (_, at) => [`f${String(at)}`, 1]))),
      422,
    ],
    ["an escaped null byte", '{"autosleep":"5m\\u0000"}', 422],
    ["half a surrogate pair", '{"\\ud800":1}', 422],
  ])("of %s is refused", async (_name, text, status) => {
    const answer = await api.ask("POST", "/v1/machines", { text });
    expect(answer.status).toBe(status);
    expect(answer.body.length).toBeLessThan(20_000);
  });

  it("over 1 MiB is too large, also without a length", async () => {
    const text = JSON.stringify({ ...smallest, padding: "x".repeat(1_048_576) });
    expect((await api.ask("POST", "/v1/machines", { text })).status).toBe(413);
    const chunked = await raw(
      head(
        "POST",
        "/dedalus/v1/machines",
        "transfer-encoding: chunked\r\ncontent-type: application/json\r\n",
      ) + `${(2 * 1_048_576).toString(16)}\r\n${"x".repeat(2 * 1_048_576)}\r\n0\r\n\r\n`,
    );
    expect(chunked).toMatch(/^HTTP\/1\.1 413 /);
  });

  it("needs a content type that is JSON, and UTF-8", async () => {
    const headers = { "content-type": "text/plain" };
    expect((await api.ask("POST", "/v1/machines", { text: "{}", headers })).status).toBe(415);
    const latin = await fetch(`${local.dedalus}/v1/machines`, {
      method: "POST",
      headers: { authorization: `Bearer ${local.apiKey}`, "content-type": "application/json" },
      body: Buffer.from([0x22, 0xe4, 0x22]),
    });
    expect(latin.status).toBe(400);
  });

  it("may have no body only where the newest generation is served", async () => {
    await using newest = await startTestLocal({ flatPhase: true });
    const { ask } = { ask: new Api(newest) };
    const created = await ask.ask("POST", "/v1/machines", { body: {}, undocumented: true });
    expect(created.json).toMatchObject({ vcpu: 1, memory_mib: 2048, storage_gib: 10, phase: "accepted" });
    const wrong = await ask.ask("POST", "/v1/machines", { body: { vcpu: 99 } });
    expect(wrong.status).toBe(422);
  });
});

describe("an update", () => {
  it("never shrinks storage", async () => {
    const id = await api.machine({ storage_gib: 5 });
    const answer = await api.ask("PATCH", `/v1/machines/${id}`, { body: { storage_gib: 4 } });
    expect([answer.status, locations(answer.json)]).toEqual([422, ["body.storage_gib"]]);
  });

  it("without a body is refused", async () => {
    expect((await api.ask("PATCH", "/v1/machines/dm-none")).status).toBe(422);
  });
});

describe("an execution", () => {
  it.each([
    ["no command", {}, ["body.command"]],
    ["a null command", { command: null }, ["body.command"]],
    ["an empty command", { command: [] }, ["body.command"]],
    ["a nameless program", { command: [""] }, ["body.command.0"]],
    ["a null byte in the command", { command: ["a", "b\0"] }, ["body.command.1"]],
    ["a number in the command", { command: [1] }, ["body.command.0"]],
    ["a null byte in a value", { command: ["a"], env: { A: "\0" } }, ["body.env.A"]],
    ["a name with =", { command: ["a"], env: { "A=B": "c" } }, ["body.env.A=B"]],
    ["an empty name", { command: ["a"], env: { "": "c" } }, ["body.env."]],
    ["a list as environment", { command: ["a"], env: ["A=b"] }, ["body.env"]],
    ["an empty folder", { command: ["a"], cwd: "" }, ["body.cwd"]],
    ["no time", { command: ["a"], timeout_ms: 0 }, ["body.timeout_ms"]],
    ["a time beyond every timer", { command: ["a"], timeout_ms: 2_147_483_648 }, ["body.timeout_ms"]],
    ["an unknown field", { command: ["a"], shell: true }, ["body.shell"]],
  ])("with %s is refused where it is wrong", async (_name, body, places) => {
    const answer = await api.ask("POST", "/v1/machines/dm-none/executions", { body });
    expect([answer.status, locations(answer.json)]).toEqual([422, places]);
  });
});

describe("paths, queries and headers", () => {
  it.each([
    "dm-A",
    "dm-",
    "mch_x",
    "x",
    "dm-a_b",
    "dm-a%00",
    "dm--",
    `dm-${"a".repeat(251)}`,
    "dm-ä",
    "..%2f",
  ])("machine id %s is refused", async (id) => {
    const answer = await api.ask("GET", `/v1/machines/${id}`);
    expect([answer.status, locations(answer.json)]).toEqual([422, ["path.machine_id"]]);
  });

  it.each(["0", "1001", "-1", "1.5", "ten", "", "99999999999999999999", "1e2"])(
    "limit %s is refused",
    async (limit) => {
      const answer = await api.ask("GET", `/v1/machines?limit=${limit}`);
      expect([answer.status, locations(answer.json)]).toEqual([422, ["query.limit"]]);
    },
  );

  it.each(["x", "cA", "%00", "p1", "x".repeat(5000)])("cursor %.10s is refused", async (cursor) => {
    const answer = await api.ask("GET", `/v1/machines?cursor=${cursor}`);
    expect([answer.status, locations(answer.json)]).toEqual([422, ["query.cursor"]]);
  });

  it("an empty cursor is the first page, and a query may not repeat itself", async () => {
    expect((await api.ask("GET", "/v1/machines?cursor=")).status).toBe(200);
    expect((await api.ask("GET", "/v1/machines?limit=1&limit=2")).status).toBe(422);
  });

  it.each([null, "", "x".repeat(256), "käse"])(
    "idempotency key %s is refused, on every call that needs one",
    async (key) => {
      const calls = [
        ["POST", "/v1/machines", smallest],
        ["PATCH", "/v1/machines/dm-none", {}],
        ["DELETE", "/v1/machines/dm-none", undefined],
        ["POST", "/v1/machines/dm-none/sleep", undefined],
        ["POST", "/v1/machines/dm-none/wake", undefined],
        ["POST", "/v1/machines/dm-none/executions", { command: ["a"] }],
      ] as const;
      for (const [method, path, body] of calls) {
        const answer = await api.ask(method, path, { body, key });
        expect([answer.status, locations(answer.json)]).toEqual([400, ["header.Idempotency-Key"]]);
      }
    },
  );

  it("calls without a body take none", async () => {
    for (const [method, path] of [
      ["POST", "/sleep"],
      ["POST", "/wake"],
      ["DELETE", ""],
    ] as const) {
      const answer = await api.ask(method, `/v1/machines/dm-none${path}`, { body: { force: true } });
      expect([answer.status, locations(answer.json)]).toEqual([422, ["body"]]);
    }
  });

  it("an unknown path is 404 and a wrong method 405 with what is allowed", async () => {
    const get = async (method: string, path: string) => {
      const response = await fetch(local.url + path, {
        method,
        headers: { authorization: `Bearer ${local.apiKey}` },
      });
      return [
        response.status,
        response.headers.get("allow"),
        response.headers.get("content-type")?.split(";")[0],
      ];
    };
    const type = "application/problem+json";
    expect(await get("GET", "/dedalus/v2/machines")).toEqual([404, null, type]);
    expect(await get("GET", "/")).toEqual([404, null, type]);
    expect(await get("GET", "/nullspace/v2/machines")).toEqual([404, null, "application/json"]);
    expect(await get("GET", "/dedalus/v1/machines/%zz")).toEqual([400, null, type]);
    expect(await get("PUT", "/dedalus/v1/machines")).toEqual([405, "GET, POST", type]);
    expect(await get("OPTIONS", "/dedalus/v1/machines/dm-a")).toEqual([405, "GET, PATCH, DELETE", type]);
  });
});

describe("anything", () => {
  const anyJson = fc.jsonValue({ depthSize: "medium" });
  const fields = fc.record(
    {
      vcpu: fc.oneof(fc.double(), anyJson),
      memory_mib: fc.oneof(fc.integer(), fc.double(), anyJson),
      storage_gib: fc.oneof(fc.maxSafeInteger(), anyJson),
      autosleep: fc.oneof(fc.string(), fc.stringMatching(/^[0-9wdhms]{0,30}$/), anyJson),
      extra: anyJson,
    },
    { requiredKeys: [] },
  );
  const noServerError = async (
    method: string,
    path: string,
    ask: { body?: unknown; headers?: Record<string, string> },
  ) => {
    const answer = await api.ask(method, path, { ...ask, key: newKey() });
    if (answer.status >= 500) throw new Error(`${String(answer.status)} ${answer.body}`);
  };

  it("as the body of a create or an update is never an error of ours", async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom("POST", "PATCH"), fc.oneof(fields, anyJson), (method, body) =>
        noServerError(method, method === "POST" ? "/v1/machines" : "/v1/machines/dm-none", { body }),
      ),
      { numRuns: 300 },
    );
  });

  it("as an execution is never an error of ours", async () => {
    const id = await api.machine();
    const execution = fc.record(
      {
        command: fc.oneof(fc.array(fc.string({ unit: "binary" }), { maxLength: 4 }), anyJson),
        env: fc.oneof(fc.dictionary(fc.string(), fc.string({ unit: "binary" })), anyJson),
        cwd: fc.oneof(fc.string(), anyJson),
        stdin: fc.oneof(fc.string({ unit: "binary" }), anyJson),
        timeout_ms: fc.oneof(fc.integer(), anyJson),
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(execution, (body) => noServerError("POST", `/v1/machines/${id}/executions`, { body })),
      { numRuns: 150 },
    );
  });

  it("as path, query or header is never an error of ours", async () => {
    const word = fc.string({ unit: "binary", maxLength: 60 });
    const header = fc.string({ unit: fc.constantFrom(..."abc \"'*W/,;=\\0129~"), maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(word, word, header, async (id, query, value) => {
        const part = encodeURIComponent(id.toWellFormed());
        const path = `/v1/machines/dm-${part === "" ? "x" : part}?limit=${encodeURIComponent(query.toWellFormed())}`;
        await noServerError("GET", path, {});
        await noServerError("DELETE", path, { headers: { "if-match": value } });
        await noServerError("GET", `/v1/machines?cursor=${encodeURIComponent(query.toWellFormed())}`, {});
      }),
      { numRuns: 150 },
    );
  });
});

describe("bytes that are no request", () => {
  it.each([
    ["noise", "\x00\x01\x02\r\n\r\n", 400],
    ["two lengths", head("POST", "/healthz", "content-length: 1\r\ncontent-length: 2\r\n"), 400],
    ["headers without end", head("GET", "/healthz", `x: ${"y".repeat(40_000)}\r\n`), 431],
  ])("%s is answered with a problem", async (_name, bytes, status) => {
    const answer = await raw(bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${String(status)} `));
    expect(answer).toContain("application/problem+json");
    expect(answer).toMatch(/\r\nx-request-id: /i);
  });
});

it("nothing of all this was unexpected: the log of this run holds no error", () => {
  const log = readFileSync(statePaths(local.stateDir).log, "utf8");
  expect(log.split("\n").filter((line) => line.includes('"level":50'))).toEqual([]);
  expect(log).not.toContain(local.apiKey);
});

function head(method: string, path: string, headers: string): string {
  return `${method} ${path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${"KEY"}\r\n${headers}\r\n`;
}

/** Sends bytes as they are, with the real key in place of KEY; answers what comes until the connection ends. */
async function raw(bytes: string): Promise<string> {
  const socket = connect(Number(new URL(local.url).port), "127.0.0.1");
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
    // Every answer here is short: its end is the end of its body.
    if (text.includes("}")) socket.destroy();
  });
  socket.on("error", () => undefined);
  socket.write(bytes.replace("Bearer KEY", `Bearer ${local.apiKey}`));
  await new Promise((resolve) => socket.once("close", resolve));
  return text;
}
