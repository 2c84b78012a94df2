/** Previews and where they are asked for; the embedded control plane has none, so the service is a scripted one. */
import { sendJson } from "../loopback";
import { closeAll, failureOf, serve } from "./client-to";

afterEach(closeAll);

const times = { issued_at: "2026-05-12T00:00:00Z", expires_at: "2026-05-12T01:00:00Z" };
const grant = {
  ...{ id: "grant_1", machine_id: "mch_1", port: 8080, status: "active", auth_mode: "direct" },
  ...{ ...times, bootstrap_transport: "query", token_kinds: ["http"], principal_kind: "user" },
  ...{ use_count: 3, http_request_count: 2, websocket_connection_count: 1, bytes_in_count: 0 },
  ...{ bytes_out_count: 0, created_at: times.issued_at, updated_at: times.issued_at, revoked_at: null },
};
const url = {
  ...{ grant, url: "https://p.example?t=1", websocket_url: "wss://p.example?t=1" },
  ...{ access_token_expires_at: times.expires_at, access_token_transport: "query" },
};
const target = {
  ...{ grant, machine_id: "mch_1", port: 8080, token_header_name: "x-nullspace-preview-proxy-token" },
  ...{ expires_at: times.expires_at, token_transport: "header", required_forwarded_headers: ["host"] },
  ...{ warnings: [], http_url: "https://p.example", http_token: "t", websocket_url: null },
};
const readiness = {
  ...{ ready: false, route_ready: true, service_ready: false, machine_id: "mch_1", port: 8080, kind: "http" },
  ...{
    checked_at: times.issued_at,
    elapsed_ms: 1500,
    attempts: 3,
    path: "/up",
    code: "refused",
    error: null,
  },
};

test("every call goes where the contract says, and its answer is read", async () => {
  const { client, server } = await serve((response, { method, url: path }) => {
    if (method === "DELETE")
      return sendJson(response, 200, { success: true, grant: { ...grant, status: "revoked" } });
    if (path.includes("/preview-urls")) return sendJson(response, 200, { items: [grant] });
    if (path.endsWith("/readiness")) return sendJson(response, 200, readiness);
    return sendJson(response, 200, path.endsWith("proxy-target") ? target : url);
  });
  const { previews } = client;
  const preview = await previews.url("mch_1", 8080);
  expect(preview).toMatchObject({
    ...{ url: url.url, websocketUrl: url.websocket_url, accessTokenExpiresAt: times.expires_at },
    grant: { id: "grant_1", machineId: "mch_1", status: "active", useCount: 3, expiresAt: times.expires_at },
  });
  // Counters without a name of ours are there as they came.
  expect(preview.grant.raw["http_request_count"]).toBe(2);
  expect(await previews.signedUrl("mch_1", 8080)).toEqual(preview);
  await previews.signedUrl("mch_1", 8080, { expiresInSeconds: 60 });
  const asked = { expiresInSeconds: 5, transports: ["http"], includeTrafficTokenHint: false } as const;
  expect(await previews.proxyTarget("mch_1", 8080, { ...asked, transports: ["http"] })).toMatchObject({
    ...{ httpUrl: "https://p.example", httpToken: "t", requiredForwardedHeaders: ["host"], warnings: [] },
    tokenHeaderName: "x-nullspace-preview-proxy-token",
  });
  expect(
    await previews.readiness("mch_1", 8080, { kind: "http", path: "/up", waitMs: 1_500, intervalMs: 100 }),
  ).toMatchObject({ ready: false, routeReady: true, elapsedMs: 1500, path: "/up", code: "refused" });
  expect((await previews.list("mch_1")).map(({ id }) => id)).toEqual(["grant_1"]);
  await previews.list("mch_1", { port: 8080 });
  expect(await previews.revoke("mch_1", "grant_1")).toMatchObject({ status: "revoked" });
  const port = "/v1/machines/mch_1/ports/8080";
  expect(server.seen.map(({ method, url: path, body }) => [method, path, body])).toEqual([
    ["GET", `${port}/preview-url`, ""],
    ["POST", `${port}/signed-preview-url`, "{}"],
    ["POST", `${port}/signed-preview-url`, '{"expires_in_seconds":60}'],
    [
      "POST",
      `${port}/preview-proxy-target`,
      '{"expires_in_seconds":5,"transports":["http"],"include_traffic_token_hint":false}',
    ],
    ["POST", `${port}/readiness`, '{"kind":"http","path":"/up","timeout_secs":2,"interval_ms":100}'],
    ["GET", "/v1/machines/mch_1/preview-urls", ""],
    ["GET", "/v1/machines/mch_1/preview-urls?port=8080", ""],
    ["DELETE", "/v1/machines/mch_1/preview-urls/grant_1", ""],
  ]);
});

test.each([0, 65_536, 1.5, NaN])("the port %d is refused before anything is sent", async (port) => {
  const { client, server } = await serve((response) => sendJson(response, 200, url));
  expect(await failureOf(client.previews.url("mch_1", port))).toMatchObject({ name: "UsageError" });
  expect(server.seen).toEqual([]);
});

test("a service without previews says so", async () => {
  const { client } = await serve((response) =>
    sendJson(response, 501, { error: "not here", code: "not_implemented" }),
  );
  expect(await failureOf(client.previews.list("mch_1"))).toMatchObject({ name: "NotImplementedError" });
});
