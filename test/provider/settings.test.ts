import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startLocal } from "@pulumi-machines/local";
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

  test("the vendor's own variables are used for their own vendor only", () => {
    const env = {
      MACHINES_BACKEND: "nullspace",
      NULLSPACE_API_KEY: "ns-key",
      NULLSPACE_API_URL: "https://nullspace.example",
      DEDALUS_API_KEY: "vendor",
    };
    const nullspace = { backend: "nullspace", apiKey: "ns-key", endpoint: "https://nullspace.example" };
    expect(readSettings(config(), env)).toEqual(nullspace);
    expect(readSettings(config({ "machines:backend": "local" }), env)).toEqual({ backend: "local" });
  });

  test.each([
    ["aws", /"aws" is no backend .*local, dedalus, nullspace/],
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
  const url = "http://127.0.0.1:1";
  const endpoint = { url, dedalus: `${url}/dedalus`, nullspace: `${url}/nullspace`, apiKey: "key" };

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

describe("opening", () => {
  const never = { signal: new AbortController().signal };
  let home: string;
  const before = { ...process.env };
  beforeEach(() => {
    // The vendor's own places for a key are looked at in the environment, the working folder and the home.
    home = mkdtempSync(join(tmpdir(), "opening-"));
    for (const name of Object.keys(process.env))
      if (/^(NULLSPACE|DEDALUS)_/.test(name)) delete process.env[name];
    Object.assign(process.env, { HOME: home, XDG_CONFIG_HOME: home });
  });
  afterEach(() => {
    process.env = { ...before };
    rmSync(home, { recursive: true });
  });
  const open = (values: Record<string, string>, env: NodeJS.ProcessEnv = {}) =>
    openControlPlane(readSettings(config(values), env), env);

  test.each([
    ["local", { "machines:endpoint": "http://127.0.0.1:1", "machines:apiKey": "key-1234" }],
    ["dedalus", { "machines:apiKey": "key-1234" }],
    ["nullspace", { "machines:apiKey": "key-1234" }],
  ])("%s has its adapter, whose parts are those of its capabilities", async (backend, values) => {
    const plane = open({ "machines:backend": backend, ...values });
    expect(plane.backend).toBe(backend);
    const { snapshots, webhooks, events } = plane.capabilities;
    expect([plane.snapshots, plane.webhooks, plane.events].map((part) => part !== undefined)).toEqual([
      ...[snapshots, webhooks, events],
    ]);
    await plane.close();
  });

  test.each(["", "/", "/dedalus", "/nullspace/"])(
    "the endpoint of the embedded control plane may end with %j",
    async (end) => {
      const local = await startLocal({ stateDir: join(home, "state"), port: 0, driver: "null" });
      const values = { "machines:endpoint": local.url + end, "machines:apiKey": local.apiKey };
      const plane = open(values);
      const machines = [];
      for await (const machine of plane.listMachines({}, never)) machines.push(machine);
      expect(machines).toEqual([]);
      await plane.close();
      await local.close();
    },
  );

  test("a missing key of Nullspace says where to put one", () => {
    const missing = (): unknown => open({ "machines:backend": "nullspace" });
    expect(missing).toThrow(/pulumi config set --secret machines:apiKey KEY.* NULLSPACE_API_KEY/);
    expect(missing).toThrow(expect.objectContaining({ name: "SettingsError" }) as Error);
  });

  test("an endpoint that is no URL says how to set one, and does not repeat it", () => {
    const values = {
      "machines:backend": "dedalus",
      "machines:endpoint": "user:pass@x",
      "machines:apiKey": "k",
    };
    expect(() => open(values)).toThrow(/the base URL is not usable.*pulumi config set machines:endpoint URL/);
    expect(() => open(values)).not.toThrow(/pass@/);
  });
});
