/** Every path of the vendor's document is served or said to be missing; all of it in one envelope. */
import { connect } from "node:net";
import type { Local } from "../../../local/src/start-local";
import { nullspaceContract } from "../../contracts/contract";
import { Api, startTestLocal, told } from "./control-plane";

const operations = Object.entries(nullspaceContract().paths).flatMap(([template, methods]) =>
  Object.keys(methods)
    .filter((method) => method !== "parameters")
    .map((method) => ({
      template,
      method: method.toUpperCase(),
      path: template.replace("/machines/{id}", "/machines/mch_none").replaceAll(/\{[^}]+\}/g, "1"),
    })),
);
/** Groups that the embedded control plane serves. */
const served =
  /^\/v1\/(lifecycle|snapshots|monitor)|^\/v1\/machines$|^\/v1\/machines\/\{id\}(?!.*(volumes|preview|ssh))|^\/healthz$/;

let local: Local;
let api: Api;
beforeAll(async () => {
  local = await startTestLocal();
  api = new Api(local);
});
afterAll(() => local.close());
afterEach(() => {
  local.faults.replace({ rules: [] });
});

describe("every operation of the contract", () => {
  it.each(operations.filter(({ template }) => template !== "/healthz"))(
    "$method $template asks for a key",
    async ({ method, path }) => {
      const missing = await api.ask(method, path, { headers: { authorization: "" } });
      expect(told(missing)).toEqual([401, "unauthorized"]);
      const wrong = await api.ask(method, path, { headers: { authorization: "Bearer nonsense" } });
      expect(told(wrong)).toEqual([401, "unauthorized"]);
      expect(wrong.body).not.toMatch(/nonsense|Dedalus/);
    },
  );

  it.each(operations.filter(({ template }) => !served.test(template)))(
    "$method $template says that it is not here",
    async ({ method, path }) => {
      const answer = await api.ask(method, path);
      expect(told(answer)).toEqual([501, "not_implemented"]);
      expect(answer.json["error"]).toMatch(
        /^[a-zA-Z ]+ (is|are) not implemented by the embedded control plane$/,
      );
    },
  );

  it.each(operations.filter(({ template }) => served.test(template)))(
    "$method $template is served",
    async ({ method, path }) => {
      const answer = await api.ask(method, path, { undocumented: true });
      expect(answer.json["error"]).not.toBe("there is no such path");
      expect([405, 500]).not.toContain(answer.status);
    },
  );

  it.each(operations.filter(({ template }) => template !== "/healthz"))(
    "$method $template can be rehearsed to be over its rate, and to fail",
    async ({ method, path }) => {
      const words = { message: "rehearsed", retryable: true };
      local.faults.replace({
        rules: [
          {
            ...{ on: "request", after: 0, times: 1, loseAnswer: false },
            refuse: { ...words, status: 429, errorCode: "RATE_LIMITED", retryAfterMs: 84 },
          },
          {
            ...{ on: "request", after: 0, loseAnswer: false },
            refuse: { ...words, status: 503, errorCode: "no_eligible_runtime_host" },
          },
        ],
      });
      const limited = await api.ask(method, path);
      expect(told(limited)).toEqual([429, "rate_limit_exceeded"]);
      expect(limited.headers.get("retry-after")).toBe("0.084");
      const down = await api.ask(method, path);
      expect(told(down)).toEqual([503, "no_eligible_runtime_host"]);
      expect(down.json).toMatchObject({ error: "rehearsed", retryable: true });
    },
  );
});

it("is alive for everybody", async () => {
  const answer = await api.ask("GET", "/healthz", { headers: { authorization: "" } });
  expect([answer.status, answer.json]).toEqual([200, { status: "ok" }]);
});

it.each([
  ["/v1/functions", "GET"],
  ["/v1/functions/f/runs/1/logs", "POST"],
  ["/v1/machines/mch_none/git/clone", "POST"],
  ["/v1/machines/mch_none/code/execute", "POST"],
  ["/v1/machines/mch_none/desktop/viewer/session", "DELETE"],
  ["/v1/secrets/a", "PUT"],
])("%s, which only the vendor's clients know, says that it is not here", async (path, method) => {
  const answer = await api.ask(method, path, { undocumented: true });
  expect(told(answer)).toEqual([501, "not_implemented"]);
});

it.each([
  "/v1/machines/mch_a/ws?channel=exec",
  "/v1/lifecycle/ws",
  "/v1/machines/mch_a/lifecycle/ws",
  "/v1/monitor/ws",
])("%s asks for an upgrade", async (path) => {
  const answer = await api.ask("GET", path);
  expect(told(answer)).toEqual([426, "invalid_request"]);
  expect(answer.headers.get("upgrade")).toBe("websocket");
});

describe("a path that is none", () => {
  it.each(["/v2/machines", "/v1/machine", "/", "/v1/machines/mch_a/pause"])(
    "such as %s is not found",
    async (path) => {
      expect(told(await api.ask("GET", path, { undocumented: true }))).toEqual([404, "not_found"]);
    },
  );

  it("and a wrong method are told apart", async () => {
    const answer = await api.ask("PUT", "/v1/machines", { undocumented: true });
    expect(told(answer)).toEqual([405, "invalid_request"]);
    expect(answer.headers.get("allow")).toBe("GET, POST");
    expect((await api.ask("POST", "/v1/machines/mch_a", { undocumented: true })).headers.get("allow")).toBe(
      "GET, DELETE",
    );
  });

  it("that cannot be decoded is refused in the same envelope", async () => {
    const answer = await api.ask("GET", "/v1/machines/%zz", { undocumented: true });
    expect(told(answer)).toEqual([400, "invalid_request"]);
  });
});

it("a page that pretends to be this host is forbidden", async () => {
  const answer = await raw("GET /nullspace/v1/machines HTTP/1.1\r\nhost: evil.example\r\n\r\n");
  expect(answer).toMatch(/^HTTP\/1\.1 403 /);
  expect(answer).toContain('"code":"forbidden"');
});

describe("a body", () => {
  it.each([
    ["that is no JSON", "{", 400],
    ["with __proto__", '{"__proto__":{"vcpus":1}}', 400],
    ["that is nothing", "", 400],
    ["that is a list", "[]", 400],
    ["that is null", "null", 400],
    ["that is a text", '"x"', 400],
    ["over 1 MiB", JSON.stringify({ metadata: { a: "x".repeat(1_048_576) } }), 413],
    ["of a depth of 100,000", `${"[".repeat(100_000)}${"]".repeat(100_000)}`, 400],
  ])("%s is refused", async (_name, text, status) => {
    const answer = await api.ask("POST", "/v1/machines", { text });
    expect(told(answer)).toEqual([status, "invalid_request"]);
    expect(answer.body.length).toBeLessThan(20_000);
  });

  it("in another content type is refused", async () => {
    const headers = { "content-type": "text/plain" };
    expect((await api.ask("POST", "/v1/machines", { text: "{}", headers })).status).toBe(415);
  });

  it("may be absent, also with the content length 0 and no type, where a call takes none", async () => {
    const answer = await raw(
      `POST /nullspace/v1/machines/mch_none/resume HTTP/1.1\r\nhost: localhost\r\n` +
        `authorization: Bearer ${local.apiKey}\r\ncontent-length: 0\r\n\r\n`,
    );
    expect(answer).toContain('"code":"machine_not_found"');
  });
});

/** Sends bytes as they are; answers what comes until the end of the first JSON object. */
async function raw(bytes: string): Promise<string> {
  const socket = connect(Number(new URL(local.url).port), "127.0.0.1");
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
    if (text.endsWith("}")) socket.destroy();
  });
  socket.write(bytes);
  await new Promise((resolve) => socket.once("close", resolve));
  return text;
}
