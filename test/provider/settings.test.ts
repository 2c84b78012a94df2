import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readEndpointFile } from "../../provider/src/controlplane/endpoint-file";
import { openControlPlane } from "../../provider/src/controlplane/open";
import { readSettings } from "../../provider/src/settings";

const config =
  (values: Record<string, string> = {}) =>
  (key: string) =>
    values[key];

describe("settings", () => {
  test("the embedded control plane is the default, and the vendor's variables do not touch it", () => {
    const env = { DEDALUS_API_KEY: "vendor", DEDALUS_BASE_URL: "https://vendor.example" };
    expect(readSettings(config(), env)).toEqual({ backend: "local" });
  });

  test("configuration wins over our variables, which win over the vendor's", () => {
    const env = {
      MACHINES_BACKEND: "local",
      MACHINES_API_KEY: "ours",
      DEDALUS_API_KEY: "vendor",
      DEDALUS_ORG_ID: "org-1",
    };
    expect(readSettings(config({ "machines:backend": "dedalus" }), env)).toEqual({
      backend: "dedalus",
      apiKey: "ours",
      organizationId: "org-1",
    });
    const keyed = config({ "machines:backend": "dedalus", "machines:apiKey": "stack" });
    expect(readSettings(keyed, env).apiKey).toBe("stack");
  });

  test("an x-api-key of the vendor's is used when there is no other", () => {
    const env = { MACHINES_BACKEND: "dedalus", DEDALUS_X_API_KEY: "x-key" };
    expect(readSettings(config(), env)).toEqual({ backend: "dedalus", xApiKey: "x-key" });
  });

  test.each([
    ["nullspace", /not available in this version/],
    ["aws", /"aws" is no backend .*local, dedalus/],
    ["dedalus", /no API key .*pulumi config set --secret machines:apiKey/],
  ])("%s is refused with what to do", (backend, message) => {
    expect(() => readSettings(config({ "machines:backend": backend }), {})).toThrow(message);
  });
});

describe("the endpoint file", () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "endpoint-"))));
  afterEach(() => rmSync(folder, { recursive: true }));
  const write = (value: unknown): void =>
    writeFileSync(join(folder, "endpoint.json"), typeof value === "string" ? value : JSON.stringify(value));
  const endpoint = { dedalus: "http://127.0.0.1:1/dedalus", apiKey: "key", url: "http://127.0.0.1:1" };

  test("is found in the folder that MACHINES_LOCAL_STATE names", () => {
    write({ ...endpoint, pid: process.pid });
    expect(readEndpointFile({ MACHINES_LOCAL_STATE: folder })).toMatchObject(endpoint);
  });

  test("is found in the user's state folder", () => {
    const state = join(folder, "pulumi-machines", "local");
    mkdirSync(state, { recursive: true });
    writeFileSync(join(state, "endpoint.json"), JSON.stringify(endpoint));
    expect(readEndpointFile({ XDG_STATE_HOME: folder })).toMatchObject(endpoint);
  });

  test.each([
    ["no file", undefined, "no embedded control plane runs"],
    ["half a file", '{"dedalus":', "not one of this version"],
    ["another form", { url: "x" }, "not one of this version"],
    ["a process that has ended", { ...endpoint, pid: 4_000_000 }, "process 4000000) has ended"],
  ])("%s: says in one line how to start one", (_name, value, message) => {
    if (value !== undefined) write(value);
    const read = (): unknown => readEndpointFile({ MACHINES_LOCAL_STATE: folder });
    expect(read).toThrow(message);
    expect(read).toThrow(/^[^\n]*npx machines-local start --detach[^\n]*$/);
  });

  test("a refused connection gives the same hint, and no key", async () => {
    write(endpoint);
    const env = { MACHINES_LOCAL_STATE: folder };
    const plane = openControlPlane(readSettings(config(), env), env);
    const failure: unknown = await plane
      .getMachine("dm-1", { signal: AbortSignal.timeout(20_000) })
      .catch((error: unknown) => error);
    await plane.close();
    expect(String(failure)).toMatch(/npx machines-local start --detach/);
    expect(failure).toMatchObject({ name: "RefusedError", code: "connection_refused", retryable: true });
    expect(String(failure)).not.toContain("key-");
  });
});
