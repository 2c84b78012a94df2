/** kill -9 of the control plane while commands run: they are found again, and nothing of them is lost or made up. */
import { spawn, type ChildProcess } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { processesWith } from "../../drivers/traces";

interface Seen {
  type: "output" | "gap" | "exit";
  stream?: "stdout" | "stderr";
  from: number;
  data?: string;
  process?: { exitCode: number | null; errorCode: string | null };
}

class ChildPlane extends EventEmitter {
  readonly events: Seen[] = [];
  private count = 0;

  private constructor(private readonly child: ChildProcess) {
    super({ captureRejections: true });
    this.setMaxListeners(100);
    if (!child.stdout) throw new Error("no pipe");
    createInterface({ input: child.stdout }).on("line", (line) => {
      const message = JSON.parse(line) as { n?: number; event?: Seen; ready?: true };
      if (message.event) this.events.push(message.event);
      this.emit(message.ready ? "ready" : message.event ? "event" : `answer ${String(message.n)}`, message);
    });
  }

  static async start(driver: string, stateDir: string): Promise<ChildPlane> {
    const loader = join(__dirname, "../../drivers/load-ts.cjs");
    const args = ["--disable-warning=ExperimentalWarning", "-r", loader, join(__dirname, "plane-child.ts")];
    const child = spawn(process.execPath, [...args, driver, stateDir], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const self = new ChildPlane(child);
    await once(self, "ready");
    return self;
  }

  async call<T = unknown>(method: string, ...args: unknown[]): Promise<T> {
    const n = ++this.count;
    const answered = once(this, `answer ${String(n)}`) as Promise<
      [{ value: T; error?: { message: string; code: string } }]
    >;
    this.child.stdin?.write(`${JSON.stringify({ n, method, args })}\n`);
    const [{ value, error }] = await answered;
    if (error) throw Object.assign(new Error(error.message), error);
    return value;
  }

  /** Asks without waiting: what follows is a kill. */
  post(method: string, ...args: unknown[]): void {
    this.child.stdin?.write(`${JSON.stringify({ n: ++this.count, method, args })}\n`);
  }

  text(): string {
    return Buffer.concat(this.events.map(({ data }) => Buffer.from(data ?? "", "base64"))).toString();
  }

  async untilText(text: string): Promise<void> {
    while (!this.text().includes(text)) await once(this, "event");
  }

  async kill9(): Promise<void> {
    const ended = once(this.child, "close");
    this.child.kill("SIGKILL");
    await ended;
  }

  async end(): Promise<void> {
    const ended = once(this.child, "close");
    this.child.stdin?.end();
    await ended;
  }
}

describe.each(["sandbox", "process"])("after a kill -9 of the control plane of %s machines", (driver) => {
  let stateDir: string;
  let plane: ChildPlane;
  let machine: string;
  const zero = { stdout: 0, stderr: 0 };
  const sh = (script: string, more: object = {}) => ({ command: ["sh", "-c", script], ...more });
  const reborn = async (): Promise<void> => {
    await plane.kill9();
    plane = await ChildPlane.start(driver, stateDir);
  };

  beforeAll(async () => {
    stateDir = mkdtempSync(join(tmpdir(), "machines-crash-"));
    plane = await ChildPlane.start(driver, stateDir);
    machine = await plane.call<string>("machine", {
      size: { vcpu: 1, memoryMiB: 512, storageGiB: 1 },
      autosleepSeconds: 0,
    });
  });

  afterAll(async () => {
    await plane.call("destroy", machine);
    await plane.end();
    rmSync(stateDir, { recursive: true, force: true });
  });

  test("a command with open stdin is fed on, closed and ends with its own code", async () => {
    const pid = await plane.call<number>("start", machine, sh("cat; exit 5", { stdin: "open" }));
    plane.post("follow", machine, pid, zero);
    await plane.call("send", machine, pid, "one\n");
    await plane.untilText("one\n");
    await reborn();
    plane.post("follow", machine, pid, { stdout: 2, stderr: 0 });
    await plane.call("send", machine, pid, "two\n");
    await plane.untilText("two\n");
    expect(plane.text()).toBe("e\ntwo\n");
    await plane.call("closeStdin", machine, pid);
    expect(await plane.call("ended", machine, pid)).toMatchObject({ exitCode: 5, errorCode: null });
    await expect(plane.call("send", machine, pid, "three")).rejects.toMatchObject({ code: "stdin_closed" });
    await reborn();
    expect(await plane.call("logs", machine, pid)).toMatchObject({
      stdout: "one\ntwo\n",
      process: { pid, exitCode: 5 },
    });
  });

  test("an end of stdin that was told just before it is not lost", async () => {
    const pid = await plane.call<number>("start", machine, sh("cat; exit 6", { stdin: "open" }));
    await plane.call("closeStdin", machine, pid);
    await reborn();
    expect(await plane.call("ended", machine, pid)).toMatchObject({ exitCode: 6 });
  });

  test("a terminal goes on: keys, size, end", async () => {
    const pid = await plane.call<number>("start", machine, {
      command: ["sh", "-c", "while read -r line; do stty size; echo got-$line; done; exit 7"],
      terminal: { cols: 80, rows: 24 },
    });
    plane.post("follow", machine, pid, zero);
    await plane.call("send", machine, pid, "a\n");
    await plane.untilText("got-a");
    await reborn();
    plane.post("follow", machine, pid, zero);
    await plane.call("resize", machine, pid, 100, 30);
    await plane.call("send", machine, pid, "b\n");
    await plane.untilText("30 100\r\ngot-b");
    await plane.call("closeStdin", machine, pid);
    expect(await plane.call("ended", machine, pid)).toMatchObject({ exitCode: 7, terminal: { cols: 100 } });
  });

  test("a command that runs is killed by its number", async () => {
    const pid = await plane.call<number>("start", machine, sh("sleep 7501 & sleep 7502"));
    await reborn();
    await plane.call("kill", machine, pid);
    expect([...processesWith("sleep 7501"), ...processesWith("sleep 7502")]).toEqual([]);
    expect(await plane.call("ended", machine, pid)).toMatchObject({ exitCode: 137 });
  });

  test("output is read on from any byte over kill after kill, each byte once", async () => {
    const lines = 20_000;
    const pid = await plane.call<number>(
      "start",
      machine,
      sh(
        `i=0; while [ $i -lt ${String(lines)} ]; do i=$((i+1)); echo $i; [ $((i % 500)) -gt 0 ] || sleep 0.01; done`,
      ),
    );
    let text = "";
    let exit: Seen | undefined;
    for (const wanted of [1, 3, 9, 2, Infinity]) {
      plane.post("follow", machine, pid, { stdout: text.length, stderr: 0 });
      const from = text.length;
      while (plane.events.length < wanted && !plane.events.some(({ type }) => type === "exit")) {
        await once(plane, "event");
      }
      const events = plane.events.splice(0);
      expect(events[0]).toMatchObject({ type: "output", from });
      expect(events.some(({ type }) => type === "gap")).toBe(false);
      text += Buffer.concat(events.map(({ data }) => Buffer.from(data ?? "", "base64"))).toString();
      exit = events.find(({ type }) => type === "exit");
      if (exit) break;
      await reborn();
    }
    expect(text).toBe(Array.from({ length: lines }, (_, at) => `${String(at + 1)}\n`).join(""));
    expect(exit).toMatchObject({ process: { exitCode: 0 } });
    expect(await plane.call("logs", machine, pid)).toMatchObject({ stdout: text, stdoutDropped: 0 });
  });

  test("a start whose answer was cut off left a command that runs, or none: never an exit that is made up", async () => {
    for (const waitMs of [0, 2, 5, 9, 15]) {
      plane.post("start", machine, sh("sleep 7503; exit 9", { display: `cut-${String(waitMs)}` }));
      // What is waited for is the kill's own place in time, not a condition.
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      await reborn();
      const all = await plane.call<{ pid: number; command: string; running: boolean }[]>("list", machine);
      const [cut] = all.filter(({ command }) => command === `cut-${String(waitMs)}`);
      if (!cut) expect(processesWith("sleep 7503")).toEqual([]);
      else if (cut.running) {
        await plane.call("kill", machine, cut.pid);
        expect(await plane.call("ended", machine, cut.pid)).toMatchObject({ exitCode: 137 });
      } else expect(cut).toMatchObject({ exitCode: null, errorCode: "EXECUTION_LOST" });
      expect(processesWith("sleep 7503")).toEqual([]);
    }
  });
});
