/** Webhooks over HTTP: made, read, changed, removed; what was delivered. Their delivery has tests of its own. */
import { createServer } from "node:http";
import type { Local } from "../../../local/src/start-local";
import { Api, eventually, locations, startTestLocal, told } from "./control-plane";

let local: Local;
let api: Api;
beforeAll(async () => {
  local = await startTestLocal({ allowHttpWebhooks: true });
  api = new Api(local);
});
afterAll(() => local.close());

const webhooks = "/v1/lifecycle/webhooks";
const body = {
  url: "http://127.0.0.1:9/hook",
  operations: ["create", "destroy"],
  signing_secret: "shh-secret",
};

it("a webhook is made, read, listed, changed and removed, and never tells its secret", async () => {
  const made = await api.ask("POST", webhooks, { body: { ...body, operations: ["create", "create"] } });
  expect(made.status).toBe(201);
  expect(made.json).toMatchObject({
    url: body.url,
    operations: ["create"],
    enabled: true,
    has_signing_secret: true,
  });
  const path = `${webhooks}/${String(made.json["id"])}`;
  expect((await api.ask("GET", path)).json).toEqual(made.json);
  expect((await api.ask("GET", path.toUpperCase().replace(webhooks.toUpperCase(), webhooks))).json).toEqual(
    made.json,
  );
  expect((await api.ask("GET", webhooks)).json).toEqual([made.json]);
  const changed = await api.ask("PATCH", path, {
    body: { enabled: false, operations: ["fork"], signing_secret: "new-secret" },
  });
  expect(changed.json).toMatchObject({ url: body.url, operations: ["fork"], enabled: false });
  expect((await api.ask("PATCH", path, { body: {} })).status).toBe(200);
  const removed = await api.ask("DELETE", path);
  expect([removed.status, removed.body]).toEqual([204, ""]);
  for (const method of ["GET", "DELETE", "PATCH"]) {
    const gone = await api.ask(method, path, method === "PATCH" ? { body: {} } : {});
    expect(told(gone)).toEqual([404, "not_found"]);
  }
  expect(`${made.body}${changed.body}`).not.toContain('secret":"');
});

it.each([
  ["nothing", {}, ["body.operations", "body.signing_secret", "body.url"]],
  ["no operation", { ...body, operations: [] }, ["body.operations"]],
  ["an unknown operation", { ...body, operations: ["pause"] }, ["body.operations.0"]],
  ["an empty secret", { ...body, signing_secret: "" }, ["body.signing_secret"]],
  ["a number as secret", { ...body, signing_secret: 424242424 }, ["body.signing_secret"]],
  ["a null byte in a secret", { ...body, signing_secret: "\0" }, ["body.signing_secret"]],
  ["an unknown member", { ...body, secret: "hidden-value" }, ["body.secret"]],
])("with %s is refused", async (_name, given, places) => {
  const answer = await api.ask("POST", webhooks, { body: given });
  expect([told(answer), locations(answer)]).toEqual([[400, "invalid_request"], places]);
  expect(answer.body).not.toMatch(/hidden-value|shh-secret|424242424/);
});

it.each(["ftp://example.com/a", "not a url", "https://169.254.169.254/latest", "http://example.com/"])(
  "to %s is refused",
  async (url) => {
    expect(told(await api.ask("POST", webhooks, { body: { ...body, url } }))).toEqual([
      400,
      "invalid_request",
    ]);
  },
);

it("what was delivered is listed, newest first, with its event and attempts", async () => {
  const server = createServer((request, response) => {
    request.resume();
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = server.address() as { port: number };
    const url = `http://127.0.0.1:${String(port)}/`;
    const made = await api.ask("POST", webhooks, { body: { ...body, url } });
    const path = `${webhooks}/${String(made.json["id"])}`;
    const id = await api.machine();
    await api.ask("DELETE", `/v1/machines/${id}`);
    const list = async (query = "") =>
      (await api.ask("GET", `${path}/deliveries${query}`)).json as unknown as Record<string, unknown>[];
    await eventually("all is delivered", async () => {
      const all = await list();
      return all.length === 4 && all.every((one) => one["delivery_status"] === "succeeded");
    });
    const all = await list();
    expect(all.map(({ operation, status }) => [operation, status])).toEqual([
      ["destroy", "succeeded"],
      ["destroy", "requested"],
      ["create", "succeeded"],
      ["create", "requested"],
    ]);
    expect(await list("?offset=1&limit=2")).toEqual(all.slice(1, 3));
    const detail = await api.ask("GET", `${path}/deliveries/${String(all[0]?.["id"])}`);
    expect(detail.json).toMatchObject({
      delivery: {
        id: all[0]?.["id"],
        webhook_id: made.json["id"],
        last_response_status: 200,
        attempt_count: 1,
      },
      event: { id: all[0]?.["event_id"], operation: "destroy", status: "succeeded", machine_id: id },
      attempts: [{ attempt_number: 1, response_status: 200 }],
    });
    expect((await api.ask("GET", path)).json).toMatchObject({ last_delivery_status: "succeeded" });
    for (const query of ["?limit=0", "?limit=101", "?offset=-1", "?page=2"]) {
      expect(told(await api.ask("GET", `${path}/deliveries${query}`))).toEqual([400, "invalid_request"]);
    }
    const none = "00000000-0000-4000-8000-000000000000";
    for (const missing of [
      `${path}/deliveries/${none}`,
      `${path}/deliveries/x`,
      `${webhooks}/${none}/deliveries`,
    ]) {
      expect(told(await api.ask("GET", missing))).toEqual([404, "not_found"]);
    }
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});
