/** What is sent to a running command, in every kind of machine and as every kind of user. */
import { readdirSync } from "node:fs";
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
const terminal = { cols: 70, rows: 20 };

describe.each(places)("input of a command in a $driver machine of uid $uid", ({ driver, uid }) => {
  const stateDir = makeStateDir(uid);
  const before = cgroups();
  let plane: ControlPlaneProcess;
  const output = (id: string) => plane.call<string>("output", id);
  const written = (id: string, text: string) => until(async () => (await output(id)).includes(text));

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

  it("reaches it, in the order of sending, and ends when it is closed", async () => {
    await plane.call("exec", "m", "fed", ["cat"], { openStdin: true });
    expect(await plane.call("begun", "fed")).toBe(true);
    await plane.call("write", "fed", "one\n");
    await plane.call("write", "fed", "two\n");
    await plane.call("close", "fed");
    expect(await plane.call<Finished>("finished", "fed")).toMatchObject({
      exitCode: 0,
      stdout: "one\ntwo\n",
    });
    const left = readdirSync(join(stateDir, "machines/m/exec/fed"));
    expect(left.filter((name) => ["stdin", "close", "closed"].includes(name))).toEqual([]);
  });

  it("reaches one that opens it by its name, though it was closed by then", async () => {
    await plane.call("exec", "m", "named", ["sh", "-c", "sleep 0.2; cat /dev/stdin"], { openStdin: true });
    await plane.call("write", "named", "words\n");
    await plane.call("close", "named");
    expect(await plane.call<Finished>("finished", "named")).toMatchObject({ exitCode: 0, stdout: "words\n" });
  });

  it("is refused as soon as nobody will read it", async () => {
    await plane.call("exec", "m", "deaf", ["sh", "-c", "exec <&-; echo deaf; sleep 7601"], {
      openStdin: true,
    });
    await written("deaf", "deaf");
    await expect(plane.call("write", "deaf", "x")).rejects.toMatchObject({ reason: "stdin_closed" });
    await plane.call("kill", "deaf");
    await plane.call("exec", "m", "none", ["true"]);
    await expect(plane.call("write", "none", "x")).rejects.toMatchObject({ reason: "stdin_closed" });
    await expect(plane.call("close", "none")).rejects.toMatchObject({ reason: "stdin_closed" });
    await expect(plane.call("resizeTerminal", "none", 1, 1)).rejects.toMatchObject({
      reason: "not_a_terminal",
    });
  });

  it("tells a command that cannot begin from one that has begun", async () => {
    await plane.call("exec", "m", "nowhere", ["true"], { cwd: "/no/such", openStdin: true });
    expect(await plane.call("begun", "nowhere")).toBe(false);
    await plane.call("exec", "m", "prompt", ["no-such-program"], { asAtPrompt: true });
    expect(await plane.call("begun", "prompt")).toBe(false);
    expect(await plane.call<Finished>("finished", "prompt")).toEqual({
      exitCode: 127,
      signal: null,
      stdout: "",
      stderr: "no-such-program: command not found\n",
      bytes: 0,
    });
  });

  it("makes the folder that it is to make", async () => {
    const cwd = driver === "process" ? join(stateDir, "made/it") : "/made/it";
    // Outside of what the machine's root may write, nothing is made and the start says so.
    const seen = await plane.run("m", ["pwd"], { cwd, makeCwd: true });
    expect(seen).toMatchObject({ exitCode: 0, stdout: `${cwd}\n` });
  });

  it("is a terminal's keys, and the terminal has the size that it is given", async () => {
    const script = "tty; stty size; while read -r line; do stty size; echo got-$line; done; exit 4";
    await plane.call("exec", "m", "tty", ["sh", "-c", script], { terminal });
    await written("tty", "20 70");
    expect(await output("tty")).toMatch(/^\/dev\/pts\/\d+\r\n20 70\r\n$/);
    await plane.call("resizeTerminal", "tty", 120, 40);
    await plane.call("write", "tty", "a\n");
    await written("tty", "40 120\r\ngot-a");
    await plane.call("close", "tty");
    expect(await plane.call<Finished>("finished", "tty")).toMatchObject({ exitCode: 4 });
  });

  it("is held open by nothing of ours when the command is killed or the machine stops", async () => {
    await plane.call("exec", "m", "killed", ["sleep", "7602"], { openStdin: true });
    await plane.call("exec", "m", "stopped", ["sleep", "7603"], { terminal });
    await until(() => [7602, 7603].every((n) => processesWith(`sleep ${n}`).length > 0));
    await plane.call("kill", "killed");
    expect(await plane.call("finished", "killed")).toMatchObject({ exitCode: 137 });
    await plane.call("stop", "m");
    expect(await plane.call("finished", "stopped")).toMatchObject({ exitCode: 137 });
    expect(tracesOf(stateDir, before).processes).toEqual([]);
    await plane.call("start", "m");
  });
});

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  expect(await waitUntil(isSo, { withinMs: 10_000 })).toBe(true);
}
