import { waitUntil } from "../../../local/src/engine/drivers/wait-until";
import { ControlPlaneProcess, isRoot, makeStateDir, nobody, removeStateDir } from "./control-plane-process";
import { cgroups, noTraces, processesWith, tracesOf } from "./traces";

interface Piped {
  exitCode: number;
  stdout: string;
  stderr: string;
}

const uid = process.getuid?.() ?? nobody;
const places = [
  { name: "sandbox", uid },
  ...(isRoot ? [{ name: "sandbox", uid: nobody }] : []),
  { name: "process", uid },
];

describe.each(places)("a piped program in a machine of the $name driver, uid $uid", ({ name, uid }) => {
  const before = cgroups();
  const stateDir = makeStateDir(uid);
  let plane: ControlPlaneProcess;

  beforeAll(async () => {
    plane = await ControlPlaneProcess.start({ name, stateDir, uid });
    await plane.call("start", "m");
  });

  afterAll(async () => {
    await plane.call("sweep", []);
    await plane.end();
    expect(tracesOf(stateDir, before)).toEqual(noTraces);
    removeStateDir(stateDir);
  });

  const pipe = (argv: string[], more: object = {}): Promise<Piped> => plane.call("pipe", "m", argv, more);

  it("reads and writes our own pipes and tells how it ended", async () => {
    expect(await pipe(["sh", "-c", "tr a-z A-Z; echo no >&2; exit 3"], { stdin: "hello" })).toEqual({
      exitCode: 3,
      stdout: "HELLO",
      stderr: "no\n",
    });
    expect((await pipe(["sh", "-c", "kill -9 $$"])).exitCode).toBe(137);
    expect((await pipe(["sh", "-c", "kill -TERM $$"])).exitCode).toBe(143);
  });

  it("carries megabytes in both directions", async () => {
    const stdin = "0123456789abcdef".repeat(65_536);
    const seen = await pipe(["cat"], { stdin });
    expect(seen.stdout.length).toBe(stdin.length);
    expect(seen.stdout === stdin).toBe(true);
  });

  it("starts where it is told to, and says when there is no such folder or program", async () => {
    expect((await pipe(["pwd"], { cwd: "/usr" })).stdout).toBe("/usr\n");
    expect(await pipe(["pwd"], { cwd: "/none" })).toMatchObject({ exitCode: 126, stdout: "" });
    const seen = await pipe(["no-such-program"]);
    expect(seen.exitCode).toBe(127);
    expect(seen.stderr).toMatch(/no-such-program/);
    expect((await pipe(["pwd"])).stdout).toBe(name === "sandbox" ? "/\n" : `${stateDir}/machines/m/root\n`);
  });

  it("is root inside without a capability", async () => {
    if (name !== "sandbox") return;
    const seen = await pipe(["grep", "-E", "Cap(Eff|Bnd)|^Uid|NoNewPrivs", "/proc/self/status"]);
    expect(seen.stdout.replace(/\s+/g, " ")).toBe(
      "Uid: 0 0 0 0 CapEff: 0000000000000000 CapBnd: 0000000000000000 NoNewPrivs: 1 ",
    );
  });

  it("is killed with what it started", async () => {
    const said = await plane.call("pipeOpen", "k", "m", ["sh", "-c", "sleep 7301 & echo up; sleep 7302"]);
    expect(said).toBe("up");
    expect(await plane.call("pipeKill", "k")).toBe(137);
    expect(await gone("sleep 7301", "sleep 7302")).toBe(true);
  });

  it("leaves nothing running when it ends", async () => {
    await pipe(["sh", "-c", "sleep 7303 >/dev/null 2>&1 & exit 0"]);
    expect(await gone("sleep 7303")).toBe(true);
  });

  it("ends with its machine", async () => {
    await plane.call("start", "s");
    await plane.call("pipeOpen", "s", "s", ["sh", "-c", "echo up; sleep 7304"]);
    await plane.call("stop", "s");
    expect(await plane.call("pipeKill", "s")).toBe(137);
    await expect(plane.call("pipe", "s", ["true"])).rejects.toMatchObject({ reason: "not_running" });
    await plane.call("destroy", "s");
  });

  it("ends with a control plane that is killed, and the machine lives", async () => {
    await plane.call("pipeOpen", "e", "m", ["sh", "-c", "sleep 7305 & echo up; sleep 7306"]);
    await plane.kill9();
    expect(await gone("sleep 7305", "sleep 7306", "pulumi-machines-pipe")).toBe(true);
    plane = await ControlPlaneProcess.start({ name, stateDir, uid });
    expect(await plane.call("isRunning", "m")).toBe(true);
  });

  const gone = (...texts: string[]): Promise<boolean> =>
    waitUntil(
      () =>
        texts.every((text) =>
          processesWith(text).every(
            (line) => line.includes("pulumi-machines-pipe") && !line.includes(stateDir),
          ),
        ),
      { withinMs: 5000 },
    );
});

it("is not to be had from the null driver", async () => {
  const stateDir = makeStateDir(uid);
  const plane = await ControlPlaneProcess.start({ name: "null", stateDir, uid });
  await plane.call("start", "m");
  await expect(plane.call("pipe", "m", ["true"])).rejects.toMatchObject({ reason: "not_supported" });
  await plane.end();
  removeStateDir(stateDir);
});
