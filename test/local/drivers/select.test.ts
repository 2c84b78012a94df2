import { createDriver } from "../../../local/src/engine/drivers/select";
import { ControlPlaneProcess, isRoot, makeStateDir, nobody, removeStateDir } from "./control-plane-process";
import { cgroups, noTraces, tracesOf } from "./traces";

const uid = isRoot ? 0 : (process.getuid?.() ?? nobody);
const size = { vcpu: 1, memoryMiB: 64, storageGiB: 1 };
const signal = AbortSignal.timeout(60_000);

describe("choosing a driver", () => {
  const before = cgroups();
  let stateDir: string;

  beforeEach(() => {
    stateDir = makeStateDir(uid);
  });

  afterEach(() => {
    expect(tracesOf(stateDir, before)).toEqual(noTraces);
    removeStateDir(stateDir);
  });

  it("leaves nothing of the sandbox that it tries", async () => {
    const driver = await createDriver({ name: "auto", stateDir, log: () => undefined });
    expect(driver.name).toBe("sandbox");
    await driver.close();
  });

  it("falls back to processes where no sandbox starts, and says why once", async () => {
    const plane = await ControlPlaneProcess.start({ name: "auto", stateDir, uid, wrap: noNamespaces });
    const facts = await plane.call<{ name: string; warnings: string[]; notEnforced: string[] }>("facts");
    expect(facts.name).toBe("process");
    expect(facts.warnings.join()).toMatch(/plain processes/);
    expect(facts.notEnforced).toEqual(["memory limit", "cpu limit", "process limit", "storage limit"]);
    expect(plane.logged).toEqual([expect.stringMatching(/sandboxes do not work on this host \(unshare: /)]);
    await plane.end();
  });

  it("refuses a sandbox that was asked for by name, in the system's words", async () => {
    const refused = ControlPlaneProcess.start({ name: "sandbox", stateDir, uid, wrap: noNamespaces });
    await expect(refused).rejects.toMatchObject({
      reason: "sandbox_unusable",
      retryable: false,
      message: expect.stringMatching(/^unshare: .*No space left on device/) as string,
    });
  });

  it("gives up a start that is aborted, and leaves nothing of it", async () => {
    const driver = await createDriver({ name: "sandbox", stateDir, log: () => undefined });
    const abort = new AbortController();
    const start = driver.start(
      { id: "a", hostname: "a", network: "host", ...size },
      { signal: abort.signal },
    );
    setImmediate(() => abort.abort());
    await expect(start).rejects.toThrow(/abort/);
    expect(await driver.isRunning("a")).toBe(false);
    expect(await driver.sweep(new Set(), new Set())).toEqual(["a"]);
    await driver.close();
  });

  it("takes the null driver for what runs nothing", async () => {
    const driver = await createDriver({ name: "null", stateDir, log: () => undefined });
    const ids = Array.from({ length: 10_000 }, (_, index) => `n${index}`);
    for (const id of ids) await driver.start({ id, hostname: id, network: "host", ...size }, { signal });
    expect(await driver.isRunning("n9999")).toBe(true);
    const exec = await driver.exec({ executionId: "e", machineId: "n1", command: ["false"], env: {} });
    expect(await exec.exited).toEqual({ exitCode: 0, signal: null });
    await driver.stop("n1");
    expect(await driver.isRunning("n1")).toBe(false);
    expect(await driver.sweep(new Set(ids.slice(0, 9_999)), new Set())).toEqual(["n9999"]);
    expect(driver.warnings.join()).toMatch(/runs nothing/);
    await driver.close();
  });
});

/** Runs what follows where the kernel allows no further user namespace. */
const noNamespaces = [
  ...["unshare", "--user", "--map-root-user", "/bin/sh", "-c"],
  ...['echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"', "sh"],
];
