import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ControlPlaneProcess, isRoot, makeStateDir, nobody, removeStateDir } from "./control-plane-process";
import { cgroups, noTraces, tracesOf } from "./traces";
import { waitUntil } from "../../../local/src/engine/drivers/wait-until";

const uids = isRoot ? [0, nobody] : [process.getuid?.() ?? nobody];

/** How far a start has come when the control plane is killed. */
const points: [string, (stateDir: string) => boolean][] = [
  ["at once", () => true],
  ["when its folder is there", (dir) => existsSync(join(dir, "machines/m"))],
  ["when its lock is taken", (dir) => existsSync(join(dir, "machines/m/lock"))],
  ["when it mounts", (dir) => existsSync(join(dir, "machines/m/runtime.json"))],
  ["when it maps its users", (dir) => existsSync(join(dir, "machines/m/asks"))],
  ["when init is named", (dir) => (readText(join(dir, "machines/m/runtime.json")) ?? "").endsWith("\n")],
  ["when init is ready", (dir) => readText(join(dir, "machines/m/ready")) === "ready\n"],
];

describe.each(uids)("a control plane of uid %d that is killed while it starts a machine", (uid) => {
  const before = cgroups();
  let stateDir: string;

  beforeEach(() => {
    stateDir = makeStateDir(uid);
  });

  afterEach(() => {
    removeStateDir(stateDir);
  });

  const killedWhen = async (hasCome: (stateDir: string) => boolean): Promise<void> => {
    const plane = await ControlPlaneProcess.start({ name: "bare", stateDir, uid });
    plane.send("start", "m");
    expect(await waitUntil(() => hasCome(stateDir), { withinMs: 10_000, everyMs: 0 })).toBe(true);
    await plane.kill9();
  };

  it.each(points)("leaves nothing after a sweep: %s", async (_, hasCome) => {
    await killedWhen(hasCome);
    const next = await ControlPlaneProcess.start({ name: "bare", stateDir, uid });
    await next.call("sweep", []);
    expect(tracesOf(stateDir, before)).toEqual(noTraces);
    await next.end();
  });

  it.each(points)("has one machine after the next start: %s", async (_, hasCome) => {
    await killedWhen(hasCome);
    const next = await ControlPlaneProcess.start({ name: "bare", stateDir, uid });
    await next.call("start", "m");
    expect((await next.run("m", ["hostname"])).stdout).toBe("dm-m\n");
    const outer = tracesOf(stateDir, before).processes.filter((one) => one.includes("setup.sh"));
    expect(outer).toHaveLength(1);
    await next.call("destroy", "m");
    expect(tracesOf(stateDir, before)).toEqual(noTraces);
    await next.end();
  });

  it("spares the machines that the next control plane knows", async () => {
    await killedWhen((dir) => readText(join(dir, "machines/m/ready")) === "ready\n");
    const next = await ControlPlaneProcess.start({ name: "bare", stateDir, uid });
    await next.call("start", "other");
    expect(await next.call("sweep", ["m"])).toEqual(["other"]);
    expect(await next.call("isRunning", "m")).toBe(true);
    await next.call("destroy", "m");
    expect(tracesOf(stateDir, before)).toEqual(noTraces);
    await next.end();
  });

  it("hears from a machine that it did not start itself", async () => {
    await killedWhen((dir) => readText(join(dir, "machines/m/ready")) === "ready\n");
    const next = await ControlPlaneProcess.start({ name: "bare", stateDir, uid });
    await next.call("onExit", "m");
    const told = new Promise((resolve) => next.once("exit", resolve));
    const { pid } = JSON.parse(readText(join(stateDir, "machines/m/runtime.json")) ?? "") as { pid: number };
    process.kill(pid, "SIGKILL");
    expect(await told).toMatchObject({ id: "m" });
    await next.call("destroy", "m");
    expect(tracesOf(stateDir, before)).toEqual(noTraces);
    await next.end();
  });
});

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // not there yet
  }
}
