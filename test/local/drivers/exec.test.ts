import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { waitUntil } from "../../../local/src/engine/drivers/wait-until";
import {
  ControlPlaneProcess,
  isRoot,
  makeStateDir,
  nobody,
  removeStateDir,
  type Finished,
} from "./control-plane-process";
import { cgroups, noTraces, processesWith, tracesOf } from "./traces";

const self = process.getuid?.() ?? nobody;
const places = [
  { driver: "sandbox", uid: self },
  ...(isRoot ? [{ driver: "sandbox", uid: nobody }] : []),
  { driver: "process", uid: self },
];

describe.each(places)("a command in a $driver machine of uid $uid", ({ driver, uid }) => {
  const stateDir = makeStateDir(uid);
  const before = cgroups();
  let plane: ControlPlaneProcess;
  const spool = (id: string) => join(stateDir, "machines/m/exec", id);

  beforeAll(async () => {
    plane = await ControlPlaneProcess.start({ name: driver, stateDir, uid });
    await plane.call("start", "m");
  });

  afterAll(async () => {
    await plane.call("sweep", []);
    await plane.end();
    expect(tracesOf(stateDir, before)).toEqual(noTraces);
    removeStateDir(stateDir);
  });

  it.each([
    ["success", "exit 0", 0, null],
    ["a failure", "exit 3", 3, null],
    ["255", "exit 255", 255, null],
    ["SIGKILL", "kill -9 $$", 137, 9],
    ["SIGTERM", "kill -15 $$", 143, 15],
    ["SIGSEGV", "kill -11 $$", 139, 11],
  ])("tells the end by %s", async (_, script, exitCode, signal) => {
    expect(await plane.sh("m", script)).toMatchObject({ exitCode, signal });
  });

  it("says that a program is missing, as a shell does", async () => {
    const seen = await plane.run("m", ["no-such-program", "x"]);
    expect(seen).toMatchObject({
      exitCode: 127,
      signal: null,
      startError: "no-such-program: command not found",
    });
    const notExecutable = await plane.run("m", ["/etc/passwd"]);
    expect(notExecutable.exitCode).toBeGreaterThanOrEqual(126);
  });

  it("says that its folder is missing", async () => {
    const seen = await plane.sh("m", "pwd", { cwd: "/no/such folder" });
    expect(seen).toMatchObject({
      exitCode: 126,
      startError: expect.stringContaining("/no/such folder") as string,
    });
  });

  it("runs in the folder it is given", async () => {
    expect((await plane.run("m", ["pwd"], { cwd: "/usr/share" })).stdout).toBe("/usr/share\n");
  });

  it("passes arguments as they are", async () => {
    const odd = ["a b", "", "$HOME", "'\"`", "-n", "*", "ü\n"];
    expect((await plane.run("m", ["printf", "[%s]", ...odd])).stdout).toBe(
      odd.map((one) => `[${one}]`).join(""),
    );
  });

  it("passes variables as they are, and on no command line", async () => {
    const env = { PLAIN: "1", ODD: 'it\'s $HOME `x` "y"\nsecond line', LD_PRELOAD: "", TOKEN: "secret-4711" };
    await plane.call("exec", "m", "env", ["sh", "-c", 'printf "%s|%s" "$PLAIN" "$ODD"; sleep 7100'], { env });
    await until(async () => (await plane.call<string>("output", "env")) === `1|${env.ODD}`);
    expect(processesWith("secret-4711")).toEqual([]);
    expect(existsSync(join(spool("env"), "env"))).toBe(false);
    await plane.call("kill", "env");
  });

  it("refuses what it could not pass on", async () => {
    for (const wrong of [
      { command: [] },
      { command: ["a\0b"] },
      { command: ["true"], env: { "a b": "1" } },
    ]) {
      await expect(plane.run("m", wrong.command, wrong)).rejects.toMatchObject({
        reason: "bad_command",
        retryable: false,
      });
    }
    await expect(plane.run("../m", ["true"])).rejects.toMatchObject({ reason: "bad_id" });
    await expect(plane.run("absent", ["true"])).rejects.toMatchObject({ reason: "not_running" });
  });

  it("reads what it is given and else nothing", async () => {
    expect((await plane.run("m", ["cat"], { stdin: "one\ntwo" })).stdout).toBe("one\ntwo");
    expect(await plane.run("m", ["cat"])).toMatchObject({ exitCode: 0, stdout: "" });
  });

  it("keeps apart what it writes to stdout and to stderr", async () => {
    expect(await plane.sh("m", "echo out; echo err >&2")).toMatchObject({ stdout: "out\n", stderr: "err\n" });
  });

  it("may write 20 MB", async () => {
    const seen = await plane.sh("m", "yes 0123456789abcdef | head -c 20000000");
    expect(seen).toMatchObject({ exitCode: 0, bytes: 20_000_000 });
  });

  it("ends with everything below it when it is killed", async () => {
    const script =
      "sleep 7101 & (sleep 7102 & sleep 7103) & (trap '' TERM; sleep 7104; sleep 7104) & echo up; wait";
    await plane.call("exec", "m", "tree", ["sh", "-c", script]);
    await until(async () => (await plane.call<string>("output", "tree")) === "up\n");
    await until(() => [7101, 7102, 7103, 7104].every((n) => processesWith(`sleep ${n}`).length > 0));
    await plane.call("kill", "tree");
    expect(await plane.call("finished", "tree")).toMatchObject({ exitCode: 137, signal: 9 });
    expect(processesWith("sleep 710")).toEqual([]);
    await plane.call("kill", "tree");
  });

  it("may end by itself when it is asked to", async () => {
    await plane.call("exec", "m", "ask", [
      "sh",
      "-c",
      "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.05; done",
    ]);
    await until(async () => (await plane.call<string>("output", "ask")) === "up\n");
    await plane.call("kill", "ask", "SIGTERM");
    expect(await plane.call("finished", "ask")).toMatchObject({ exitCode: 5, stdout: "up\nbye\n" });
  });

  it("runs once when it is started twice", async () => {
    await plane.call("exec", "m", "twice", ["sh", "-c", "echo run"]);
    await plane.call("finished", "twice");
    await plane.call("exec", "m", "twice", ["sh", "-c", "echo run"]);
    expect(await plane.call("finished", "twice")).toMatchObject({ stdout: "run\n" });
  });

  it("leaves no file when it is forgotten", async () => {
    await plane.call("exec", "m", "gone", ["true"]);
    await plane.call("finished", "gone");
    await plane.call("forget", "m", "gone");
    expect(existsSync(spool("gone"))).toBe(false);
    expect(await plane.call("attach", "m", "gone")).toBe(false);
  });

  it("keeps its files from everybody else", () => {
    for (const path of [join(stateDir, "machines/m"), join(stateDir, "machines/m/exec")]) {
      expect(mode(path)).toBe("700");
    }
    const [id = ""] = readdirSync(join(stateDir, "machines/m/exec"));
    for (const name of ["stdout", "stderr", "exit", "pid"])
      expect(mode(join(spool(id), name))).toMatch(/^6[04][04]$/);
  });

  it("goes on when the control plane is killed, and is found again running or ended", async () => {
    const script =
      "echo begun; read line; echo $line; while [ ! -e go ]; do sleep 0.02; done; echo on; exit 7";
    await plane.call("exec", "m", "long", ["sh", "-c", script], { stdin: "input\n" });
    await plane.call("exec", "m", "short", ["sh", "-c", "while [ ! -e short ]; do sleep 0.02; done; exit 8"]);
    await until(async () => (await plane.call<string>("output", "long")) === "begun\ninput\n");
    await plane.kill9();
    plane = await ControlPlaneProcess.start({ name: driver, stateDir, uid });
    expect(await plane.call("isRunning", "m")).toBe(true);
    expect(await plane.call("attach", "m", "long")).toBe(true);
    expect(await plane.call("attach", "m", "never")).toBe(false);
    const finished = plane.call<Finished>("finished", "long");
    await plane.sh("m", "touch go short");
    expect(await finished).toMatchObject({ exitCode: 7, signal: null, stdout: "begun\ninput\non\n" });
    await plane.call("attach", "m", "short");
    expect(await plane.call("finished", "short")).toMatchObject({ exitCode: 8 });
    expect(await plane.call("attach", "m", "short")).toBe(true);
    expect(await plane.call("finished", "short")).toMatchObject({ exitCode: 8 });
  });

  it("has an unknown end when what watched it was killed", async () => {
    await plane.call("exec", "m", "lost", ["sleep", "7105"]);
    await until(() => processesWith("sleep 7105").some((one) => one.startsWith("sleep")));
    const [pid] = readFileSync(join(spool("lost"), "pid"), "utf8").split(" ");
    process.kill(Number(pid), "SIGKILL");
    expect(await plane.call("finished", "lost")).toMatchObject({ exitCode: null, signal: null });
    await plane.call("stop", "m");
    expect(processesWith("sleep 7105")).toEqual([]);
    await plane.call("start", "m");
  });

  it("does not outlive its machine, not even as a daemon", async () => {
    await plane.sh("m", "setsid sleep 7106 >/dev/null 2>&1 & sleep 7107 >/dev/null 2>&1 &");
    await until(() => [7106, 7107].every((n) => processesWith(`sleep ${n}`).length > 0));
    await plane.call("stop", "m");
    expect([...processesWith("sleep 7106"), ...processesWith("sleep 7107")]).toEqual([]);
    await plane.call("start", "m");
  });
});

const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  expect(await waitUntil(isSo, { withinMs: 10_000 })).toBe(true);
}
