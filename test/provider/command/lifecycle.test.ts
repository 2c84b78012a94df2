/** Commands over the adapter of the embedded control plane, in machines that really run. */
import { realClock, withDeadline, type Context } from "../../../provider/src/context";
import { core } from "../../../provider/src/command/lifecycle";
import { LocalControlPlane } from "../../../provider/src/controlplane/local";
import { nothingSeen } from "../../../provider/src/journal";
import { eventually } from "../../e2e/support/run";
import { CuttingProxy } from "../../sdk/nullspace/cutting-proxy";
import { keyed, never, running, settled, startEmbedded } from "../controlplane/embedded";
import { MemoryJournal } from "../seams/world";

type Properties = Record<string, unknown>;

jest.setTimeout(60_000);
let local: Awaited<ReturnType<typeof startEmbedded>>;
let plane: LocalControlPlane;
let machineId: string;
let lines: string[] = [];

beforeAll(async () => {
  local = await startEmbedded();
  plane = new LocalControlPlane({ url: local.url, apiKey: local.apiKey });
  machineId = await running(plane);
});
afterAll(async () => {
  await plane.close();
  await local.close();
});
beforeEach(() => {
  lines = [];
});

function run<T>(work: (context: Context) => Promise<T>, allowedMs = 30_000, signal = never): Promise<T> {
  const context = {
    ...{ name: "step", urn: "urn::step", signal, controlPlane: plane, clock: realClock },
    journal: new MemoryJournal(),
    seen: nothingSeen(),
    log: (line: string) => void lines.push(line),
    warn: (line: string) => void lines.push(`warning: ${line}`),
    newKey: () => keyed().idempotencyKey,
    random: () => 1,
  };
  return withDeadline(context, allowedMs, work);
}

function inputs(args: Properties): Properties {
  const hidden = { __urn: "urn::step", __stackIdentity: "stack-1" };
  const { inputs: checked, failures } = core.check(
    {},
    { machineId, ...hidden, ...args },
    { backend: "local" },
  );
  expect(failures).toEqual([]);
  return checked;
}
const create = (args: Properties) => run((context) => core.create(context, inputs(args)));
const failing = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => {
      throw new Error("it did not fail");
    },
    (error: unknown) => (error as Error).message,
  );

test("a line runs in a shell, a list without one, and both tell how it went", async () => {
  const line = await create({ create: "echo one; echo two >&2", environment: { A: "b" } });
  expect(line.outs).toMatchObject({ stdout: "one", stderr: "two", exitCode: 0, complete: true });
  expect(typeof line.outs.durationMs).toBe("number");
  const list = await create({ create: ["echo", "$HOME; x"] });
  expect(list.outs.stdout).toBe("$HOME; x");
  expect(list.id).not.toBe(line.id);
});

test("its output is shown line by line while it runs, as far as it is asked for", async () => {
  await create({ create: "echo out; echo err >&2", logging: "stderr" });
  expect(lines).toEqual(["err"]);
});

test("variables, folder and standard input are its own; a command without input finds its end", async () => {
  const { outs } = await create({
    create: "pwd; echo $A; cat",
    environment: { A: "b" },
    cwd: "/tmp",
    stdin: "in",
  });
  expect(outs.stdout).toBe("/tmp\nb\nin");
  expect((await create({ create: "cat; echo over" })).outs.stdout).toBe("over");
});

test("another exit code than 0 is an error with the last lines, and nothing is recorded", async () => {
  const message = await failing(create({ create: "seq 1 100; echo oh no >&2; exit 7" }));
  expect(message).toMatch(/command "step": `create` ended with exit code 7 after/);
  expect(message).toMatch(/ {2}98\n {2}99\n {2}100/);
  expect(message).toContain("oh no");
  expect(message).not.toContain("\n  1\n");
});

test("a timeout of its own ends it, and says so", async () => {
  const message = await failing(create({ create: "echo begun; sleep 30", timeout: "1s" }));
  expect(message).toMatch(/`create` was ended after .*, its timeout/);
  expect(message).toContain("begun");
});

test("the operation's deadline ends it, too, in the machine as well", async () => {
  const args = inputs({ create: "sleep 31337" });
  const message = await failing(run((context) => core.create(context, args), 1_500));
  expect(message).toMatch(/did not end within|its timeout/);
  const { outs } = await create({ create: "pgrep -f 'sleep 3133[7]' || echo none" });
  expect(outs.stdout).toBe("none");
});

test("an update runs `update`, else `create`, with what the earlier run wrote; a change of how runs nothing", async () => {
  const first = inputs({ create: "echo first" });
  const { outs } = await run((context) => core.create(context, first));
  const second = inputs({ create: "echo second", update: "echo from $PULUMI_COMMAND_STDOUT" });
  const updated = await run((context) => core.update(context, "id", outs, second));
  expect(updated.stdout).toBe("from first");
  const third = inputs({ create: "echo third; echo $PULUMI_COMMAND_STDOUT" });
  const again = await run((context) => core.update(context, "id", updated, third));
  expect(again.stdout).toBe("third\nfrom first");
  lines = [];
  const logged = inputs({ create: "echo third; echo $PULUMI_COMMAND_STDOUT", logging: "none" });
  const kept = await run((context) => core.update(context, "id", again, logged));
  expect(kept).toMatchObject({ stdout: "third\nfrom first", logging: "none" });
  expect(lines).toEqual([]);
});

test("delete runs `delete`, and without one nothing", async () => {
  const args = inputs({ create: "echo made > /root/mark", delete: "cat /root/mark; rm /root/mark" });
  const { outs } = await run((context) => core.create(context, args));
  lines = [];
  await run((context) => core.remove(context, "id", outs));
  expect(lines).toEqual(["made"]);
  expect((await create({ create: "ls /root/mark 2>&1 || true" })).outs.stdout).toContain("No such file");
  const { outs: silent } = await create({ create: "true" });
  await run((context) => core.remove(context, "id", silent));
});

test("secrets are in no line and no failure; the output is kept whole, for the state to keep it as a secret", async () => {
  const hidden = { __secret: ["environment.TOKEN", "stdin"], stdout: "", stderr: "" };
  const args = { environment: { TOKEN: "t0ken-value" }, stdin: "pass-phrase", ...hidden };
  const { outs } = await create({ ...args, create: 'echo "$TOKEN"; cat' });
  expect(lines).toEqual(["[secret]", "[secret]"]);
  expect(outs).toMatchObject({ stdout: "t0ken-value\npass-phrase", stderr: "" });
  const message = await failing(create({ ...args, create: 'echo "$TOKEN" >&2; exit 1' }));
  expect(message).toContain("[secret]");
  expect(message).not.toContain("t0ken-value");
});

test("of a line that holds a secret no output is shown, nor of what it leads to, and it says why", async () => {
  const hidden = { __secret: ["create"], stdout: "", stderr: "" };
  const secret = {
    ...hidden,
    create: "echo logged in with hunter2-pw",
    delete: "echo $PULUMI_COMMAND_STDOUT",
  };
  const { outs } = await create(secret);
  await run((context) => core.remove(context, "id", outs));
  expect(outs.stdout).toBe("logged in with hunter2-pw");
  expect(lines).toHaveLength(2);
  expect(lines.join("\n")).toMatch(/not shown: `create` holds a secret\. Give that one in `environment`/);
  const message = await failing(create({ ...hidden, create: "echo no hunter2-pw; exit 3" }));
  expect(message).toMatch(/exit code 3[^]*holds a secret/);
  expect(`${lines.join("\n")} ${message}`).not.toContain("hunter2");
});

test("an output of any size and any characters does not stand in the way of `update` and `delete`", async () => {
  const wide = "i=0; while [ $i -lt 70000 ]; do printf '\\303\\251'; i=$((i+1)); done";
  const args = { create: `printf 'a\\000b'; ${wide}`, delete: 'printf %s "$PULUMI_COMMAND_STDOUT" | wc -c' };
  const { outs } = await create(args);
  expect(String(outs.stdout)).toHaveLength(70_003);
  lines = [];
  await run((context) => core.remove(context, "id", outs));
  expect(lines).toEqual(["65536"]);
});

test("a lot of output is kept at its end, and what is left out is said", async () => {
  const { outs } = await create({ create: "seq 1 100000" });
  expect(String(outs.stdout).endsWith("99999\n100000")).toBe(true);
  expect(outs).toMatchObject({
    complete: false,
    missing: expect.stringContaining("characters of stdout") as string,
  });
});

test("a sleeping machine is woken for it, also when nothing else wakes it", async () => {
  const id = await running(plane, { vcpu: 0.5, memoryMiB: 256, storageGiB: 1, autoResume: false });
  await plane.sleepMachine(id, keyed());
  await settled(plane, id, "sleeping");
  const { outs } = await create({ machineId: id, create: "echo awake" });
  expect(outs.stdout).toBe("awake");
  expect(lines.join("\n")).toMatch(/waking dm-/);
});

test("a machine that is gone: a create says so, a read drops the command, a delete has nothing to do", async () => {
  const id = await running(plane);
  const { outs } = await create({ machineId: id, create: "true", delete: "false" });
  await plane.deleteMachine(id, keyed());
  await settled(plane, id, "destroyed").catch(() => undefined);
  expect(await failing(create({ machineId: id, create: "true" }))).toMatch(/does not exist any more/);
  expect(await run((context) => core.read(context, "id", outs))).toBeUndefined();
  await run((context) => core.remove(context, "id", outs));
  expect(lines.join("\n")).toContain("nothing to undo");
});

test("a `delete` that cannot run says how to be rid of it", async () => {
  const { outs } = await create({ create: "true", delete: "echo no way; exit 4" });
  const message = await failing(run((context) => core.remove(context, "id", outs)));
  expect(message).toMatch(/`delete` ended with exit code 4[^]*no way[^]*pulumi state delete 'urn::step'/);
});

test("over connections that break it runs once, and each line comes once", async () => {
  await using proxy = await CuttingProxy.before(local.url);
  const through = new LocalControlPlane({ url: new URL(proxy.url).origin, apiKey: local.apiKey });
  try {
    const go = async (name: string): Promise<void> => {
      await plane.files.write(machineId, `/root/go-${name}`, Buffer.from(""), { signal: never });
    };
    const line = (name: string): string => `until [ -e /root/go-${name} ]; do sleep 0.02; done; echo ${name}`;
    const args = inputs({ create: `echo ran >> /root/runs; echo begun; ${line("one")}; ${line("two")}` });
    const ran = run((context) => core.create({ ...context, controlPlane: through }, args));
    for (const [seen, name] of [
      ["begun", "one"],
      ["one", "two"],
    ] as const) {
      await eventually(`the line ${seen}`, () => (lines.includes(seen) ? true : undefined));
      proxy.cut();
      await go(name);
    }
    expect((await ran).outs).toMatchObject({ stdout: "begun\none\ntwo", exitCode: 0, complete: true });
    expect(lines).toEqual(["begun", "one", "two"]);
    expect((await create({ create: "cat /root/runs" })).outs.stdout).toBe("ran");
  } finally {
    await through.close();
  }
});

test("there is nothing that a get could find", async () => {
  await expect(run((context) => core.read(context, "id", {}))).rejects.toThrow(/Command\.get finds none/);
});

test("a command that nobody waits for any more is ended", async () => {
  const stop = new AbortController();
  const args = inputs({ create: "echo begun; sleep 31338" });
  const ended = failing(run((context) => core.create(context, args), 30_000, stop.signal));
  await eventually("the first line", async () => (lines.length > 0 ? true : undefined));
  stop.abort();
  await ended;
  const { outs } = await create({ create: "pgrep -f 'sleep 3133[8]' || echo none" });
  expect(outs.stdout).toBe("none");
});
