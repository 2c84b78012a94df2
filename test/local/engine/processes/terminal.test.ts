/** Commands on a terminal of their own. */
import { createHash } from "node:crypto";
import { processesWith } from "../../drivers/traces";
import { all, bytesOf, Plane } from "./plane";

const terminal = { cols: 91, rows: 27 };

describe.each(["sandbox", "process"] as const)("a terminal in a %s machine", (driver) => {
  let plane: Plane;
  const shown = async (pid: number) => bytesOf(await all(plane.follow(pid)), "stdout").toString();
  const on = async (command: string | string[], more = {}) => {
    const { pid } = await plane.start(command, { terminal, ...more });
    return { ...(await plane.ended(pid)), text: await shown(pid) };
  };

  beforeAll(async () => {
    plane = await Plane.open(driver);
  });

  afterAll(async () => {
    await plane.end();
  });

  test("is one: it has a name, a size, a type, and stderr is part of what it shows", async () => {
    const seen = await on(
      'tty; stty size; echo "$TERM"; test -t 0 && test -t 1 && test -t 2 && echo terminal; echo err >&2',
    );
    expect(seen.text).toMatch(/^\/dev\/pts\/\d+\r\n27 91\r\nxterm-256color\r\nterminal\r\nerr\r\n$/);
    expect(seen).toMatchObject({ exitCode: 0, stderrBytes: 0, terminal });
    expect(await plane.processes.terminal(plane.machineId, seen.terminal?.sessionId ?? "")).toMatchObject({
      pid: seen.pid,
    });
    await expect(plane.processes.terminal(plane.machineId, "pty_none")).rejects.toMatchObject({
      code: "process_not_found",
    });
  });

  test("passes variables, folder and arguments as they are, and leaves nothing of ours in them", async () => {
    const odd = ["a b", "", "$HOME", "'\"`", "-n", "*", "\u00fc"];
    const script =
      'printf "[%s]" "$@"; pwd; echo "$WORDS|$TERM|$SHELL"; env | grep -c pm_; for f in /proc/self/fd/*; do readlink $f; done | grep -c exec_';
    const seen = await on(["sh", "-c", script, "sh", ...odd], {
      cwd: "/usr",
      env: { WORDS: "it's", TERM: "dumb", SHELL: "/bin/bash" },
    });
    expect(seen.text).toMatch(
      /^\[a b\]\[\]\[\$HOME\]\['"`\]\[-n\]\[\*\]\[ü\]\/usr\r\nit's\|dumb\|\/bin\/bash\r\n0\r\n0\r\n$/,
    );
  });

  test.each([
    ["success", "exit 0", 0],
    ["a failure", "exit 7", 7],
    ["a signal", "kill -TERM $$", 143],
  ])("tells the end by %s", async (_, script, exitCode) => {
    expect(await on(script)).toMatchObject({ exitCode, errorCode: null });
  });

  test("says that a program or a folder is missing", async () => {
    expect(await on(["no-such-program"])).toMatchObject({
      exitCode: 127,
      text: "no-such-program: command not found\r\n",
    });
    await expect(on("true", { cwd: "/no/such" })).rejects.toMatchObject({ code: "process_failed" });
  });

  test("takes a new size while it runs, and its program hears of it", async () => {
    const { pid } = await plane.start(
      `trap 'echo changed; stty size' WINCH; echo ready; while :; do sleep 0.02; done`,
      { terminal },
    );
    await plane.untilWritten(pid, "ready");
    await plane.processes.resize(plane.machineId, pid, { cols: 132, rows: 50 });
    await plane.untilWritten(pid, "changed\r\n50 132");
    expect(await plane.processes.get(plane.machineId, pid)).toMatchObject({
      terminal: { cols: 132, rows: 50 },
    });
    await plane.processes.kill(plane.machineId, pid);
    await expect(plane.processes.resize(plane.machineId, pid, terminal)).rejects.toMatchObject({
      code: "process_not_found",
    });
  });

  test("has the size that was asked for right after the start", async () => {
    const { pid } = await plane.start("read -r _; stty size", { terminal });
    await plane.processes.resize(plane.machineId, pid, { cols: 10, rows: 5 });
    await plane.send(pid, "\n");
    await plane.ended(pid);
    expect(await shown(pid)).toContain("5 10\r\n");
  });

  test("only a terminal has a size, and only sizes that there are", async () => {
    const { pid } = await plane.start(["sleep", "1000"]);
    const resize = (cols: number) => plane.processes.resize(plane.machineId, pid, { cols, rows: 24 });
    await expect(resize(80)).rejects.toMatchObject({ code: "not_a_terminal" });
    await expect(resize(0)).rejects.toMatchObject({ code: "invalid_argument" });
    await plane.processes.kill(plane.machineId, pid);
  });

  test("Ctrl-C interrupts what runs in front, and a shell goes on", async () => {
    const { pid } = await plane.start(["bash", "--norc", "-i"], { terminal, env: { PS1: "ready> " } });
    await plane.untilWritten(pid, "ready> ");
    await plane.send(pid, "sleep 7301\n");
    while (processesWith("sleep 7301").length === 0) await new Promise(setImmediate);
    await plane.send(pid, "\x03");
    await plane.send(pid, "echo code=$?\n");
    await plane.untilWritten(pid, "code=130\r\n");
    await plane.send(pid, "exit 9\n");
    expect(await plane.ended(pid)).toMatchObject({ exitCode: 9 });
  });

  test("Ctrl-C ends a plain program, by its signal", async () => {
    const { pid } = await plane.start(["sleep", "1000"], { terminal });
    await plane.send(pid, "\x03");
    expect(await plane.ended(pid)).toMatchObject({ exitCode: 130, errorCode: null });
  });

  test("reads an end where its stdin is closed", async () => {
    const { pid } = await plane.start("cat; echo over", { terminal });
    await plane.send(pid, "words\n");
    await plane.untilWritten(pid, "words");
    await plane.processes.closeStdin(plane.machineId, pid);
    expect(await plane.ended(pid)).toMatchObject({ exitCode: 0 });
    expect(await shown(pid)).toContain("over\r\n");
  });

  test("shows all of a large output before its end", async () => {
    const seen = await on("stty -onlcr; seq 1 60000");
    expect(seen.text).toBe(Array.from({ length: 60_000 }, (_, at) => `${String(at + 1)}\n`).join(""));
  });

  test("passes bytes as they are in both directions where its program wants that", async () => {
    const { pid } = await plane.start("stty raw -echo; echo ready; head -c 200000 | sha256sum", { terminal });
    await plane.untilWritten(pid, "ready");
    const odd = Buffer.alloc(200_000, Buffer.from([0, 3, 4, 0xff, 13, 10]));
    await plane.send(pid, odd);
    await plane.ended(pid);
    expect(await shown(pid)).toContain(createHash("sha256").update(odd).digest("hex"));
  });

  test("does not show what is sent before its program begins twice", async () => {
    const { pid } = await plane.start(["bash", "--norc", "-i"], { terminal, env: { PS1: "> " } });
    await plane.send(pid, "echo $((40+2))\nexit\n");
    await plane.ended(pid);
    expect((await shown(pid)).match(/42/g)).toHaveLength(1);
  });

  test("ends with everything that was started on it when it is killed", async () => {
    const { pid } = await plane.start(["bash", "--norc", "-i"], { terminal });
    await plane.send(pid, "sleep 7302 & (trap '' HUP; sleep 7303; sleep 7303) &\n");
    const left = () => [...processesWith("sleep 7302"), ...processesWith("sleep 7303")];
    while (left().length < 2) await new Promise(setImmediate);
    await plane.processes.kill(plane.machineId, pid);
    expect(left()).toEqual([]);
    expect(await plane.processes.get(plane.machineId, pid)).toMatchObject({ running: false, exitCode: 137 });
  });
});
