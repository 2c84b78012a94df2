/** A hundred machines in one stack: what a deploy holds open, and what it waits out. */
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { maxConnections } from "../../provider/src/controlplane/connections";
import { HostedProxy } from "../provider/controlplane/hosted-proxy";
import { Stack } from "./support/stack";

jest.setTimeout(240_000);
const small = { vcpu: 1, memoryMiB: 256, storageGiB: 1, autosleep: "never" };
const machine = (args: object = {}) => ({ kind: "Machine", args: { ...small, ...args } });
const fleet = (count: number): object =>
  Object.fromEntries(Array.from({ length: count }, (_none, n) => [`m${String(n)}`, machine()]));

class Many extends Stack {
  constructor(readonly backend: "local" | "nullspace") {
    super("null");
    copyFileSync(join(__dirname, "support", "resources.cjs"), join(this.project, "program.cjs"));
  }

  /** Through a proxy, which counts. */
  async begunThrough(hidden: RegExp): Promise<HostedProxy> {
    await this.init();
    const { dedalus, apiKey } = this.plane.endpoint();
    const target =
      this.backend === "local" ? dedalus.replace(/\/dedalus$/, "") : dedalus.replace(/dedalus$/, "nullspace");
    const proxy = await HostedProxy.before(target);
    proxy.hidden = hidden;
    await this.must("config", "set", "machines:backend", this.backend);
    await this.must("config", "set", "machines:endpoint", proxy.url.replace(/\/$/, ""));
    await this.must("config", "set", "--secret", "machines:apiKey", apiKey);
    return proxy;
  }

  async deploy(resources: object, ...args: string[]): Promise<string> {
    writeFileSync(join(this.project, "resources.json"), JSON.stringify(resources));
    return this.must("up", "--yes", "--skip-preview", "--parallel", "100", ...args);
  }
}

describe.each([
  { backend: "local" as const, way: "with status streams", hidden: /^never$/, sockets: 0 },
  { backend: "nullspace" as const, way: "with one stream for all", hidden: /\/status\/stream$/, sockets: 1 },
])("100 machines on $backend, $way", ({ backend, hidden, sockets }) => {
  const stack = new Many(backend);
  let proxy: HostedProxy;
  beforeAll(async () => {
    proxy = await stack.begunThrough(hidden);
  });
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
    await stack.dispose();
  });

  test("all run, none is made twice, over a bounded number of connections", async () => {
    await stack.plane.faults({ on: "start", stallMs: 1_000 });
    await stack.deploy(fleet(100));
    const machines = await stack.plane.machines();
    expect(machines).toHaveLength(100);
    for (const { status } of machines) expect(status.phase).toBe("running");
    expect(proxy.mostOpen).toBeLessThanOrEqual(2 * maxConnections);
    expect(proxy.opened).toBeLessThanOrEqual(sockets);
  });

  test("refusals for now are waited out, and the reason is on the terminal", async () => {
    await stack.plane.faults({
      ...{ on: "request", path: "/v1/machines", method: "POST", times: 12 },
      refuse: {
        status: 429,
        errorCode: "RATE_LIMITED",
        message: "too many creates",
        retryable: true,
        retryAfterMs: 1_500,
      },
    });
    const text = await stack.deploy({ ...fleet(100), one: machine(), two: machine() });
    expect(text).toMatch(/too many creates.*trying again in/);
    expect(await stack.plane.machines()).toHaveLength(102);
  });

  test("destroy leaves nothing", async () => {
    await stack.plane.faults();
    await stack.must("destroy", "--yes", "--parallel", "100");
    expect(await stack.plane.machines()).toEqual([]);
  });
});

describe("a machine that may not sleep yet", () => {
  const stack = new Stack("null", undefined, ["--sleep-hold-window", "20s"]);
  beforeAll(async () => {
    copyFileSync(join(__dirname, "support", "resources.cjs"), join(stack.project, "program.cjs"));
    await stack.init();
  });
  afterAll(() => stack.dispose());

  test("is waited for within the deadline, with the reason; past it the deploy says why", async () => {
    const up = (args: object, ...more: string[]) => {
      writeFileSync(join(stack.project, "resources.json"), JSON.stringify({ web: machine(args) }));
      return stack.pulumi("up", "--yes", "--skip-preview", ...more);
    };
    await up({ desiredState: "sleeping" });
    await up({});
    const late = await up({ desiredState: "sleeping", timeouts: { update: "2s" } });
    expect(late.code).not.toBe(0);
    expect(late.text).toMatch(/SLEEP_HOLD_WINDOW_ACTIVE|hold window/i);
    const text = (await up({ desiredState: "sleeping" })).text;
    expect(text).toMatch(/trying again in/);
    expect(stack.machine("web")?.outputs?.phase).toBe("sleeping");
  });
});
