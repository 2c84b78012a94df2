/** Whatever is sent: an answer in the envelope, never an error of ours. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import type { Local } from "../../../local/src/start-local";
import { statePaths } from "../../../local/src/state-folder";
import { Api, newKey, startTestLocal } from "./control-plane";

let local: Local;
let api: Api;
let id: string;
beforeAll(async () => {
  local = await startTestLocal();
  api = new Api(local);
  id = await api.machine();
});
afterAll(() => local.close());

const anyJson = fc.jsonValue({ depthSize: "medium" });
const word = fc.string({ unit: "binary", maxLength: 40 });
const or = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 3, arbitrary }, { weight: 1, arbitrary: anyJson });

const create = fc.record(
  {
    snapshot_id: or(fc.constantFrom("snap_a", "x", "")),
    template: or(fc.constantFrom("base", "other")),
    vcpus: or(fc.oneof(fc.integer(), fc.double())),
    memory_mb: or(fc.maxSafeInteger()),
    disk_mb: or(fc.integer()),
    timeout_ms: or(fc.integer()),
    timeout_action: or(fc.constantFrom("destroy", "hibernate")),
    inactivity_timeout_ms: or(fc.double()),
    auto_delete_after_ms: or(fc.integer()),
    ephemeral: or(fc.boolean()),
    auto_resume: or(fc.boolean()),
    envs: or(fc.dictionary(word, word)),
    metadata: or(fc.dictionary(word, anyJson)),
    internet_access: or(fc.boolean()),
    cwd: or(word),
    desktop: anyJson,
    network: or(
      fc.record(
        {
          egress: or(
            fc.record({ mode: fc.constantFrom("allow_all", "deny_all", "custom"), allow_cidrs: anyJson }),
          ),
          deny_out: or(fc.array(word)),
          allow_public_traffic: anyJson,
        },
        { requiredKeys: [] },
      ),
    ),
    volumes: or(fc.array(anyJson, { maxLength: 2 })),
    lifecycle: or(fc.record({ on_timeout: or(fc.constantFrom("destroy", "pause")) })),
    warm_pool: or(fc.record({ id: or(word), mode: or(fc.constantFrom("prefer", "bypass", "require")) })),
    extra: anyJson,
  },
  { requiredKeys: [] },
);

const exec = fc.record(
  {
    command: or(word),
    args: or(fc.array(word, { maxLength: 3 })),
    envs: or(fc.dictionary(word, word)),
    cwd: or(word),
    shell: or(fc.boolean()),
    background: or(fc.boolean()),
    timeout_secs: or(fc.integer()),
  },
  { requiredKeys: [] },
);

const others = fc.oneof(
  fc.record({ timeout_ms: or(fc.integer()), timeout_action: or(word) }),
  fc.record({ egress: or(fc.record({ mode: or(word) })) }),
  fc.record({ port: or(fc.integer()), kind: or(word), path: or(word), timeout_secs: fc.constant(0) }),
  fc.record({
    url: or(fc.oneof(fc.webUrl(), word)),
    operations: or(fc.array(fc.constantFrom("create", "x"))),
    signing_secret: or(word),
  }),
  fc.record({ data: or(word), cols: or(fc.integer()), rows: or(fc.integer()) }),
);

/** 501 is for what is not here, 502 for a command that cannot be started, and 503 for what a create cannot have. */
const ours = new Set([500, 504]);

async function noServerError(method: string, path: string, body?: unknown, headers?: Record<string, string>) {
  const answer = await api.ask(method, path, {
    ...(body === undefined ? {} : { body }),
    ...(headers ? { headers } : {}),
    key: newKey(),
    undocumented: path.includes("fields="),
  });
  if (ours.has(answer.status)) throw new Error(`${String(answer.status)} ${answer.body}`);
}

it("as the body of a create", async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(create, anyJson), (body) => noServerError("POST", "/v1/machines", body)),
    { numRuns: 250 },
  );
});

it("as a command", async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(exec, anyJson), (body) =>
      noServerError("POST", `/v1/machines/${id}/exec`, body),
    ),
    { numRuns: 150 },
  );
});

it("as the body of any other call", async () => {
  const calls = [
    ["POST", `/v1/machines/${id}/timeout`],
    ["PATCH", `/v1/machines/${id}/egress`],
    ["POST", `/v1/machines/${id}/host`],
    ["POST", `/v1/machines/${id}/ports/1/readiness`],
    ["POST", `/v1/machines/${id}/processes/1/stdin`],
    ["POST", `/v1/machines/${id}/pty/pty_1/resize`],
    ["POST", `/v1/machines/${id}/hibernate`],
    ["POST", "/v1/lifecycle/webhooks"],
    ["PATCH", "/v1/lifecycle/webhooks/00000000-0000-4000-8000-000000000000"],
  ] as const;
  const body = fc.oneof(
    others,
    anyJson.filter((value) => JSON.stringify(value) !== "{}" && value !== null),
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...calls), body, ([method, path], given) =>
      noServerError(method, path, given),
    ),
    { numRuns: 300 },
  );
});

it("as a path", async () => {
  const part = word.map((text) => encodeURIComponent(text.toWellFormed()) || "x");
  const paths = fc.constantFrom(
    (x: string) => `/v1/machines/mch_${x}`,
    (x: string) => `/v1/machines/${x}/processes`,
    (x: string) => `/v1/machines/${id}/processes/${x}/logs`,
    (x: string) => `/v1/machines/${id}/pty/${x}`,
    (x: string) => `/v1/machines/${id}/ports/${x}/preview-url`,
    (x: string) => `/v1/machines/mch_${x}/lifecycle`,
    (x: string) => `/v1/snapshots/snap_${x}`,
    (x: string) => `/v1/snapshots/${x}/lifecycle`,
    (x: string) => `/v1/lifecycle/webhooks/${x}`,
    (x: string) => `/v1/lifecycle/webhooks/${x}/deliveries/${x}`,
  );
  await fc.assert(
    fc.asyncProperty(paths, part, (path, x) => noServerError("GET", path(x === "." || x === ".." ? "x" : x))),
    { numRuns: 200 },
  );
});

it("as a query or a header", async () => {
  const names = fc.constantFrom(
    ...["state", "limit", "next_token", "template", "metadata", "fields", "offset", "order", "operation"],
    ...["status", "audience", "machine_id", "snapshot_id", "from", "to", "a"],
  );
  const value = fc.oneof(
    word,
    fc.json(),
    fc.nat().map(String),
    fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  );
  const header = fc.string({ unit: fc.constantFrom(..."abc \"'*/,;=\\0129~"), maxLength: 60 });
  const paths = [
    "/v1/machines",
    `/v1/machines/${id}`,
    "/v1/lifecycle/events",
    `/v1/machines/${id}/lifecycle`,
    "/v1/snapshots",
  ];
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...paths),
      fc.array(fc.tuple(names, value), { maxLength: 3 }),
      header,
      async (path, pairs, text) => {
        const query = pairs
          .map(([name, given]) => `${name}=${encodeURIComponent(given.toWellFormed())}`)
          .join("&");
        // A mask without `fields=` in it would be a whole object, which is checked.
        await noServerError("GET", `${path}?${query}`, undefined, { accept: text, "last-event-id": text });
        await noServerError("POST", "/v1/machines/mch_none/fork", undefined, { "idempotency-key": text });
      },
    ),
    { numRuns: 200 },
  );
});

it("and nothing of all this was unexpected: the log of this run holds no error", () => {
  const log = readFileSync(statePaths(local.stateDir).log, "utf8");
  expect(log.split("\n").filter((line) => line.includes('"level":50'))).toEqual([]);
  expect(log).not.toContain(local.apiKey);
});
