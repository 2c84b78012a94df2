/** The fault script over HTTP: read, replaced, removed; requests that it delays, refuses and loses. */
import type { Local } from "../../../local/src/start-local";
import { Api, newKey, smallest, startTestLocal } from "./control-plane";

let local: Local;
let api: Api;
beforeAll(async () => {
  local = await startTestLocal({ faults: { rules: [{ on: "start", times: 1, stallMs: 1 }] } });
  api = new Api(local);
});
afterAll(() => local.close());

async function faults(
  method: string,
  body?: unknown,
): Promise<{ status: number; json: Record<string, unknown> }> {
  const response = await fetch(`${local.url}/local/faults`, {
    method,
    headers: {
      authorization: `Bearer ${local.apiKey}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, json: (await response.json()) as Record<string, unknown> };
}

it("is read, replaced and removed", async () => {
  expect((await faults("GET")).json).toEqual({ rules: [{ on: "start", after: 0, times: 1, stallMs: 1 }] });
  const put = await faults("PUT", { rules: [{ on: "stream", do: "drop" }] });
  const inForce = { rules: [{ on: "stream", do: "drop", after: 0, afterEvents: 0 }] };
  expect([put.status, put.json]).toEqual([200, inForce]);
  expect((await faults("GET")).json).toEqual(inForce);
  expect((await faults("DELETE")).json).toEqual({ rules: [] });
});

it("is refused as a whole when a rule is wrong, and the old one stays", async () => {
  await faults("PUT", { rules: [{ on: "request", delayMs: 1 }] });
  const wrong = await faults("PUT", {
    rules: [{ on: "start", stallMs: -1, color: "red" }, { on: "nothing" }],
  });
  expect(wrong.status).toBe(422);
  expect((wrong.json["errors"] as { location: string }[]).map(({ location }) => location)).toEqual([
    "body.rules.0.stallMs",
    "body.rules.0.color",
    "body.rules.1.on",
  ]);
  expect((await faults("GET")).json["rules"]).toHaveLength(1);
  for (const body of [null, [], "x", {}]) expect((await faults("PUT", body)).status).toBe(422);
});

it("refuses requests as scripted, so many times, and only those", async () => {
  const refuse = {
    status: 503,
    errorCode: "DEPENDENCY_UNAVAILABLE",
    message: "runtime unavailable",
    retryAfterMs: 20,
  };
  await faults("PUT", {
    rules: [{ on: "request", method: "post", path: "/v1/machines", after: 1, times: 1, refuse }],
  });
  const create = () => api.ask("POST", "/v1/machines", { body: smallest, key: newKey() });
  expect((await create()).status).toBe(202);
  expect((await api.ask("GET", "/v1/machines")).status).toBe(200);
  const refused = await create();
  expect([
    refused.status,
    refused.headers.get("retry-after-ms"),
    refused.headers.has("x-should-retry"),
  ]).toEqual([503, "20", false]);
  expect(refused.json).toMatchObject({ message: "runtime unavailable", retryable: true, retry_after_ms: 20 });
  expect((await create()).status).toBe(202);
});

it("delays a request", async () => {
  await faults("PUT", { rules: [{ on: "request", method: "GET", delayMs: 150, times: 1 }] });
  const since = performance.now();
  expect((await api.ask("GET", "/v1/machines")).status).toBe(200);
  expect(performance.now() - since).toBeGreaterThan(140);
});

it("never touches its own routes", async () => {
  await faults("PUT", { rules: [{ on: "request", refuse: { status: 500 } }] });
  expect((await faults("GET")).status).toBe(200);
  expect((await faults("DELETE")).status).toBe(200);
});

it("does not hold up the end of the control plane", async () => {
  await using other = await startTestLocal({
    faults: { rules: [{ on: "request", after: 0, delayMs: 600_000, loseAnswer: false }] },
  });
  const asked = fetch(`${other.dedalus}/v1/machines`, {
    headers: { authorization: `Bearer ${other.apiKey}` },
  });
  await fetch(`${other.url}/healthz`);
  await other.close();
  await asked.then(
    () => undefined,
    () => undefined,
  );
});
