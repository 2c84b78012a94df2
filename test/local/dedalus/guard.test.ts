/** Who may ask: programs of this host that have the key. */
import { readFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { statePaths } from "../../../local/src/state-folder";
import type { Local } from "../../../local/src/start-local";
import { startTestLocal } from "./control-plane";

let local: Local;
beforeAll(async () => {
  local = await startTestLocal();
});
afterAll(() => local.close());

/** fetch does not let a program choose its Host. */
const get = (path: string, headers: Record<string, string>, base = local.url) =>
  new Promise<{ status: number; headers: Record<string, unknown>; body: string }>((resolve, reject) => {
    const asked = httpRequest(base + path, { headers, setHost: false }, (response) => {
      let body = "";
      response.on("data", (chunk: Buffer) => (body += chunk.toString()));
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
      });
    });
    asked.on("error", reject).end();
  });

it.each(["127.0.0.1", "127.0.0.1:80", "localhost", "LOCALHOST:4590", "[::1]:4590", "127.1.2.3"])(
  "answers those who call it %s",
  async (host) => {
    expect((await get("/healthz", { host })).status).toBe(200);
  },
);

it.each([
  "evil.example",
  "evil.example:4590",
  "127.0.0.1.evil.example",
  "localhost.evil.example",
  "10.0.0.1",
  "",
])("refuses those who call it %s, with or without the key", async (host) => {
  for (const path of ["/healthz", "/dedalus/v1/machines", "/local/status"]) {
    const answer = await get(path, { host, authorization: `Bearer ${local.apiKey}` });
    expect([answer.status, JSON.parse(answer.body)]).toEqual([
      403,
      expect.objectContaining({ error_code: "HOST_NOT_ALLOWED", retryable: false }),
    ]);
  }
});

it.each([
  "/dedalus/v1/machines",
  "/%64edalus/v1/machines",
  "/dedalus%2Fv1/machines",
  "/DEDALUS/v1/machines",
  "//dedalus/v1/machines",
  "/healthz/../dedalus/v1/machines",
  "/healthz/",
  "/healthz%3F/local/status",
  "/local/status",
  "/%6cocal/status",
  "/local/%73tatus",
  "/nowhere",
  "/",
])("asks for the key at %s, however it is written", async (path) => {
  for (const authorization of [{}, { authorization: "Bearer wrong" }]) {
    const answer = await get(path, { host: "localhost", ...authorization });
    expect([path, answer.status, answer.body]).toEqual([path, 401, expect.stringContaining("AUTH_")]);
  }
});

it("refuses a request without a host name", async () => {
  expect((await get("/healthz", {})).status).toBe(403);
});

it("gives no web page leave to read its answers", async () => {
  const answer = await get("/healthz", { host: "localhost", origin: "https://evil.example" });
  expect(Object.keys(answer.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
});

it("takes any name when it was told to listen on other addresses", async () => {
  const warnings: string[] = [];
  await using open = await startTestLocal({ host: "0.0.0.0", warn: (line) => warnings.push(line) });
  expect((await get("/healthz", { host: "build-7.lan" }, open.url)).status).toBe(200);
  expect(warnings.join()).toMatch(/Listening on 0\.0\.0\.0: .*not encrypted/);
});

it.each([
  ["a part of the key", (key: string) => key.slice(0, -1)],
  ["a longer key", (key: string) => `${key}x`],
  ["another case", (key: string) => key.toUpperCase()],
  ["no key after Bearer", () => ""],
])("refuses %s, on every protected route", async (_name, change) => {
  for (const path of [
    "/dedalus/v1/machines",
    "/local/status",
    "/local/faults",
    "/dedalus/none",
    "/local/none",
  ]) {
    const headers = { authorization: `Bearer ${change(local.apiKey)}` };
    expect((await fetch(local.url + path, { headers })).status).toBe(401);
    const other = { "x-api-key": change(local.apiKey) };
    expect((await fetch(local.url + path, { headers: other })).status).toBe(401);
  }
});

it("says what runs here, to those who have the key", async () => {
  const response = await fetch(`${local.url}/local/status`, { headers: { "x-api-key": local.apiKey } });
  expect(await response.json()).toEqual({
    version: "0.1.0",
    pid: process.pid,
    driver: "null",
    notEnforced: [],
    machines: 0,
    uptimeSeconds: expect.any(Number) as unknown,
    stateDir: local.stateDir,
  });
});

it("keeps keys out of its log", () => {
  const log = readFileSync(statePaths(local.stateDir).log, "utf8");
  expect(log).toContain('"url":"/local/status"');
  expect(log).not.toContain(local.apiKey.slice(0, -1));
});
