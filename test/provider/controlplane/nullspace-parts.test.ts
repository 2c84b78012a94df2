/** Commands, files and the words of machines over the Nullspace API, on machines that really run. */
import { randomBytes } from "node:crypto";
import { CuttingProxy } from "../../sdk/nullspace/cutting-proxy";
import { NullspaceControlPlane } from "../../../provider/src/controlplane/nullspace";
import { createParams, longestLeaseMs } from "../../../provider/src/controlplane/nullspace-create";
import { detailsOf, statesOf, viewOf } from "../../../provider/src/controlplane/nullspace-view";
import { MachineGoneError, RefusedError, type MachineSpec } from "../../../provider/src/controlplane/port";
import type { CommandSpec } from "../../../provider/src/controlplane/command-port";
import { keyed, never, running, settled, startEmbedded } from "./embedded";

jest.setTimeout(60_000);
const options = { signal: never };
let local: Awaited<ReturnType<typeof startEmbedded>>;
let plane: NullspaceControlPlane;
let id: string;

beforeAll(async () => {
  local = await startEmbedded();
  plane = new NullspaceControlPlane({ backend: "nullspace", baseUrl: local.nullspace, apiKey: local.apiKey });
  id = await running(plane, { vcpu: 1, memoryMiB: 256, storageGiB: 1, autoResume: false });
});
afterAll(async () => {
  await plane.close();
  await local.close();
});

const sh = (line: string, more: Partial<CommandSpec> = {}, signal = never) =>
  plane.commands.run(id, { argv: ["sh", "-c", line], timeoutMs: 20_000, ...more }, { ...keyed(), signal });

describe("commands", () => {
  test("say how they ended: by a code, by a signal, by their timeout", async () => {
    expect(await sh("exit 3")).toMatchObject({ exitCode: 3, complete: true });
    expect(await sh("kill -9 $$")).toMatchObject({ exitCode: 137 });
    expect(await sh("echo begun; sleep 20", { timeoutMs: 1_000 })).toMatchObject({
      ...{ exitCode: 124, timedOut: true, stdout: "begun\n" },
    });
  });

  test("read what they are given, however much, and may leave it", async () => {
    const stdin = "x".repeat(700_000);
    expect((await sh("wc -c", { stdin })).stdout.trim()).toBe("700000");
    expect(await sh("true", { stdin })).toMatchObject({ exitCode: 0 });
  });

  test("go on over a connection that is cut, and each byte comes once", async () => {
    await using proxy = await CuttingProxy.before(local.nullspace);
    const cut = new NullspaceControlPlane({ backend: "nullspace", baseUrl: proxy.url, apiKey: local.apiKey });
    let cuts = 0;
    const { stdout, complete } = await cut.commands.run(
      id,
      { argv: ["sh", "-c", "for n in 1 2 3 4 5 6; do echo line $n; sleep 0.2; done"], timeoutMs: 20_000 },
      {
        ...keyed(),
        onOutput: () => {
          if ((cuts += 1) % 2 === 0 && cuts < 5) proxy.cut();
        },
      },
    );
    expect({ stdout, complete }).toEqual({
      stdout: [1, 2, 3, 4, 5, 6].map((n) => `line ${String(n)}\n`).join(""),
      complete: true,
    });
    expect(proxy.connections).toBeGreaterThan(1);
    await cut.close();
  });

  test("keep the end of a lot of output, and say what they left out", async () => {
    const { stdout, complete, missing } = await sh("head -c 9000000 /dev/zero | tr '\\0' 'a'; echo end");
    expect(stdout.endsWith("aend\n")).toBe(true);
    expect(complete).toBe(false);
    expect(missing).toMatch(/the first \d+ characters of stdout/);
  });

  test("are ended with the signal", async () => {
    const stop = new AbortController();
    const run = plane.commands.run(
      id,
      { argv: ["sh", "-c", "echo begun; sleep 31339"], timeoutMs: 40_000 },
      { ...keyed(), signal: stop.signal, onOutput: () => stop.abort(new Error("enough")) },
    );
    await expect(run).rejects.toThrow("enough");
    expect((await sh("pgrep -f 'sleep 3133[9]' || echo none")).stdout).toBe("none\n");
  });

  test("of a machine that sleeps, or is gone, are refused for what it is", async () => {
    const asleep = await running(plane, { vcpu: 1, memoryMiB: 256, storageGiB: 1, autoResume: false });
    await plane.sleepMachine(asleep, keyed());
    await settled(plane, asleep, "sleeping");
    const run = (machine: string) =>
      plane.commands.run(machine, { argv: ["true"], timeoutMs: 5_000 }, keyed());
    await expect(run(asleep)).rejects.toMatchObject({ name: RefusedError.name, code: "INVALID_STATE" });
    await plane.deleteMachine(asleep, keyed());
    await expect(run(asleep)).rejects.toThrow(MachineGoneError);
  });
});

describe("files", () => {
  test("arrive as they are, replaced as a whole, with their mode", async () => {
    const content = randomBytes(300_000);
    await plane.files.write(id, "/srv/deep/data.bin", Buffer.from("old"), options);
    await plane.files.write(id, "/srv/deep/data.bin", content, { ...options, mode: 0o600 });
    expect(Buffer.from((await plane.files.read(id, "/srv/deep/data.bin", options)) ?? [])).toEqual(content);
    const sum = (await sh("sha256sum < /srv/deep/data.bin | cut -c1-64; stat -c %a /srv/deep/data.bin"))
      .stdout;
    expect(sum).toBe(`${String(await plane.files.hash(id, "/srv/deep/data.bin", options))}\n600\n`);
    await plane.files.remove(id, "/srv/deep", options);
    await plane.files.remove(id, "/srv/deep", options);
  });

  test("that are not there are told from machines that are not", async () => {
    expect(await plane.files.read(id, "/none", options)).toBeUndefined();
    expect(await plane.files.hash(id, "/none", options)).toBeUndefined();
    await expect(plane.files.hash("mch_none", "/none", options)).rejects.toThrow(MachineGoneError);
    await plane.files.remove("mch_none", "/none", options);
  });
});

describe("a machine in the port's words", () => {
  const machine = {
    id: "mch_1",
    config: { vcpus: 2, memoryMb: 512, diskMb: 1_500 },
    template: "base",
    raw: {},
  };
  test.each([
    ["creating", "starting", "running"],
    ["running", "running", "running"],
    ["paused", "sleeping", "sleeping"],
    ["error", "failed", "running"],
    ["destroyed", "destroyed", "destroyed"],
    ["migrating", "migrating", "running"],
  ])("%s is %s, on its way to %s", (status, phase, desiredState) => {
    expect(viewOf({ ...machine, status })).toMatchObject({
      phase,
      desiredState,
      vcpu: 2,
      memoryMiB: 512,
      storageGiB: 2,
    });
  });

  test.each([
    [["sleeping"], ["paused"]],
    [
      ["running", "failed"],
      ["running", "error"],
    ],
    // One of a later API may be in any of them.
    [
      ["running", "migrating"],
      ["creating", "running", "paused", "error", "destroyed"],
    ],
  ])("%j are found among %j", (wanted, states) => {
    expect(statesOf(wanted)).toEqual(states);
  });

  test("an inactivity that hibernates is an autosleep, one that destroys is not", () => {
    const idle = { ...machine, status: "running", inactivityTimeoutMs: 90_000 };
    expect(viewOf({ ...idle, timeoutAction: "hibernate" }).autosleepSeconds).toBe(90);
    expect(viewOf({ ...idle, timeoutAction: "destroy" }).autosleepSeconds).toBe(0);
    expect(viewOf({ ...machine, status: "running", template: undefined } as never)).not.toHaveProperty(
      "autosleepSeconds",
    );
  });

  test("its tags are not the user's metadata", () => {
    const metadata = { team: "blue", "pulumi:stack": "dev" };
    expect(detailsOf({ ...machine, status: "running", metadata })).toMatchObject({
      metadata: { team: "blue" },
      tags: { "pulumi:stack": "dev" },
    });
  });
});

describe("a spec in the vendor's words", () => {
  test.each<[string, MachineSpec, object]>([
    ["nothing", {}, { timeoutMs: longestLeaseMs, timeoutAction: "hibernate", autoResume: true }],
    ["a disk", { storageGiB: 3 }, { diskMb: 3_072 }],
    ["an autosleep", { autosleep: "90s" }, { inactivityTimeoutMs: 90_000, timeoutAction: "hibernate" }],
    ["never", { autosleep: "never", lifetime: { timeout: "never" } }, { timeoutMs: longestLeaseMs }],
    [
      "a lifetime",
      { lifetime: { timeout: "1h", then: "destroy", inactivity: "5m", deleteAfterSleeping: "1d" } },
      {
        ...{ timeoutMs: 3_600_000, timeoutAction: "destroy" },
        inactivityTimeoutMs: 300_000,
        autoDeleteAfterMs: 86_400_000,
        autoResume: false,
      },
    ],
    [
      "an ephemeral one",
      { ephemeral: true },
      { ephemeral: true, timeoutAction: "destroy", autoResume: false },
    ],
    [
      "a snapshot",
      { from: { snapshot: "snap_1" }, metadata: { a: 1 }, tags: { t: "2" } },
      { snapshotId: "snap_1", metadata: { a: 1, t: "2" } },
    ],
  ])("%s", (_name, spec, params) => {
    expect(createParams(spec)).toMatchObject(params);
  });

  test("what a snapshot decides is not sent with it", () => {
    expect(createParams({ from: { snapshot: "snap_1" }, vcpu: 2, template: "x" })).not.toHaveProperty(
      "vcpus",
    );
  });
});

test("a service that is closed while it is used ends what waits", async () => {
  const closing = new NullspaceControlPlane({
    backend: "nullspace",
    baseUrl: local.nullspace,
    apiKey: local.apiKey,
  });
  const run = closing.commands.run(id, { argv: ["sleep", "5"], timeoutMs: 10_000 }, keyed());
  const ended = expect(run).rejects.toMatchObject({ code: "client_closed" });
  await closing.close();
  await ended;
});
