/** What becomes of a command whose deploy was killed, over both ways to run commands, in machines that really run. */
import { core } from "../../../provider/src/command/lifecycle";
import { realClock, withDeadline, type Context } from "../../../provider/src/context";
import { DedalusControlPlane } from "../../../provider/src/controlplane/dedalus";
import { LocalControlPlane } from "../../../provider/src/controlplane/local";
import type { ControlPlane } from "../../../provider/src/controlplane/port";
import { nothingSeen, type JournalEntry } from "../../../provider/src/journal";
import { eventually } from "../../e2e/support/run";
import { keyed, never, running, startEmbedded } from "../controlplane/embedded";
import { MemoryJournal } from "../seams/world";

type Properties = Record<string, unknown>;

jest.setTimeout(60_000);
let local: Awaited<ReturnType<typeof startEmbedded>>;
beforeAll(async () => {
  local = await startEmbedded();
});
afterAll(() => local.close());

describe.each(["dedalus", "local"] as const)("over the adapter %s", (backend) => {
  const keepsKeys = backend === "dedalus";
  let plane: ControlPlane;
  let machineId: string;
  /** Of the newest deploy. */
  let lines: string[] = [];

  beforeAll(async () => {
    const { apiKey } = local;
    plane = keepsKeys
      ? new DedalusControlPlane({ backend: "dedalus", baseUrl: local.dedalus, apiKey })
      : new LocalControlPlane({ url: local.url, apiKey });
    machineId = await running(plane);
  });
  afterAll(() => plane.close());
  function deploy<T>(journal: MemoryJournal, work: (context: Context) => Promise<T>): Promise<T> {
    const shown: string[] = (lines = []);
    const context = {
      ...{ name: "step", urn: "urn::step", signal: never, controlPlane: plane, clock: realClock, journal },
      seen: nothingSeen(),
      log: (line: string) => void shown.push(line),
      warn: (line: string) => void shown.push(`warning: ${line}`),
      newKey: () => keyed().idempotencyKey,
      random: () => 1,
    };
    return withDeadline(context, 30_000, work);
  }

  function inputs(args: Properties): Properties {
    const hidden = { __urn: "urn::step", __stackIdentity: "stack-1" };
    const { inputs: checked, failures } = core.check({}, { machineId, ...hidden, ...args }, { backend });
    expect(failures).toEqual([]);
    return checked;
  }
  const create = async (journal: MemoryJournal, args: Properties): Promise<Properties> =>
    (await deploy(journal, (context) => core.create(context, inputs(args)))).outs;
  const shell = async (line: string): Promise<string> =>
    (
      await plane.commands.run(machineId, { argv: ["/bin/sh", "-c", line], timeoutMs: 20_000 }, keyed())
    ).stdout.trim();

  /** A deploy of which nothing is left but what its journal holds when the command has written `go`. */
  async function killed(args: Properties): Promise<{ journal: MemoryJournal; over: Promise<unknown> }> {
    const journal = new MemoryJournal();
    const over = create(journal, args).catch((error: unknown) => error);
    await eventually("the command", () => (lines.includes("go") ? true : undefined));
    const left = new MemoryJournal();
    // Whatever the first deploy learns from now on is not known to the second.
    left.entries = new Map([...journal.entries].map(([key, entry]) => [key, { ...entry }]));
    return { journal: left, over };
  }
  const entryOf = (journal: MemoryJournal): JournalEntry => {
    const [entry] = journal.entries.values();
    if (!entry) throw new Error("nothing was noted");
    return entry;
  };

  test("the next deploy follows one that runs still, from its first line", async () => {
    const args = { create: "echo run >> /root/still; echo go; sleep 1; cat /root/still; echo over >&2" };
    const { journal } = await killed(args);
    const outs = await create(journal, args);
    expect(outs).toMatchObject({ stdout: "go\nrun", stderr: "over", exitCode: 0, complete: true });
    expect(lines).toEqual([
      "found again: it was started before, and nobody has seen its end",
      "go",
      "run",
      "over",
    ]);
    expect(entryOf(journal).answered).toBe(true);
    // What has been told is over: the same command is another run from now on.
    expect((await create(journal, args)).stdout).toBe("go\nrun\nrun");
  });

  test("one that has succeeded meanwhile is not run again, with input or without", async () => {
    for (const stdin of ["typed\n", undefined]) {
      const args = { create: "echo run >> /root/done; cat; echo go; sleep 0.3; cat /root/done", stdin };
      await shell("rm -f /root/done");
      const { journal, over } = await killed(args);
      await over;
      expect((await create(journal, args)).stdout).toBe(`${stdin ?? ""}go\nrun`);
    }
  });

  test("one that has failed meanwhile is run again, as after any failure", async () => {
    const args = {
      create: "echo go; sleep 0.3; printf half; mkdir /root/second 2>/dev/null && exit 7; echo; echo well",
    };
    const { journal, over } = await killed(args);
    expect(String(await over)).toContain("ended with exit code 7");
    expect((await create(journal, args)).stdout).toBe("go\nhalf\nwell");
    expect(lines.slice(-4)).toEqual(["half", "go", "half", "well"]);
    expect(lines).toContain("it has ended with exit code 7: running it again");
  });

  test("one that the program has changed since is ended before the new one runs", async () => {
    const { journal, over } = await killed({ create: "echo $$ > /root/pid; echo go; exec sleep 600" });
    const outs = await create(journal, { create: "kill -0 $(cat /root/pid) 2>&1 || echo ended" });
    expect(outs.stdout).toMatch(/ended$/);
    expect(lines[0]).toMatch(/^ending what a deploy that was interrupted has started/);
    await over;
  });

  test("one of which no id was learned, and that the program has changed since, may run still: it is said", async () => {
    const { journal, over } = await killed({ create: "echo go; sleep 0.5" });
    await journal.write({ key: entryOf(journal).key, commandId: "" });
    await create(journal, { create: "echo other" });
    expect(lines[0]).toMatch(
      /^warning: .* may have started an earlier form of it in machine .* may run still$/,
    );
    await over;
  });

  test("a deploy with a wrong key changes nothing: the next one follows it still", async () => {
    const args = { create: "echo run >> /root/key; echo go; sleep 2; cat /root/key" };
    const { journal, over } = await killed(args);
    const good = plane;
    const apiKey = "another";
    plane = keepsKeys
      ? new DedalusControlPlane({ backend: "dedalus", baseUrl: local.dedalus, apiKey })
      : new LocalControlPlane({ url: local.url, apiKey });
    try {
      await expect(create(journal, args)).rejects.toThrow(/answered 401/);
    } finally {
      await plane.close();
      plane = good;
    }
    expect(entryOf(journal).answered).toBe(false);
    expect((await create(journal, args)).stdout).toBe("go\nrun");
    await over;
  });

  test("a refusal while it runs is no end of it", async () => {
    if (!keepsKeys) return;
    const args = { create: "echo run >> /root/refused; echo go; sleep 3; cat /root/refused" };
    const journal = new MemoryJournal();
    const over = create(journal, args).catch((error: unknown) => error);
    await eventually("the command", () => (lines.includes("go") ? true : undefined));
    const refuse = { status: 401, errorCode: "AUTH_INVALID", message: "expired", retryable: false };
    const rules = [{ on: "request", method: "GET", path: `/v1/machines/${machineId}`, times: 1, refuse }];
    const headers = { authorization: `Bearer ${local.apiKey}`, "content-type": "application/json" };
    const body = JSON.stringify({ rules });
    expect((await fetch(`${local.url}/local/faults`, { method: "PUT", headers, body })).ok).toBe(true);
    expect(String(await over)).toContain("expired");
    expect((await create(journal, args)).stdout).toBe("go\nrun");
  });

  test("other triggers ask for another run", async () => {
    const args = { create: "echo run >> /root/triggered; echo go; sleep 0.3; cat /root/triggered" };
    const { journal, over } = await killed({ ...args, triggers: [1] });
    await over;
    expect((await create(journal, { ...args, triggers: [2] })).stdout).toBe("go\nrun\nrun");
  });

  test("one of which no id was learned is found by its key, or it is said that it may run", async () => {
    const args = { create: "echo run >> /root/unnamed; echo go; sleep 0.5; cat /root/unnamed" };
    const { journal, over } = await killed(args);
    await journal.write({ key: entryOf(journal).key, commandId: "" });
    const outs = await create(journal, args);
    if (keepsKeys) expect(outs.stdout).toBe("go\nrun");
    else {
      expect(outs.stdout).toBe("go\nrun\nrun");
      expect(lines[0]).toMatch(/^warning: .* may have started it in machine .* so it runs now$/);
    }
    await over;
  });

  test("one that the service does not know any more is run again", async () => {
    const args = { create: "echo go; sleep 0.3; echo once more" };
    const { journal, over } = await killed(args);
    await over;
    const { key, commandId = "" } = entryOf(journal);
    const other = keepsKeys ? "ex-00000000000000000000" : commandId.replace(/^\[\d+/, "[999999");
    await journal.write({ key, commandId: other });
    expect((await create(journal, args)).stdout).toBe("go\nonce more");
    expect(lines.some((line) => line.endsWith(": running it again"))).toBe(true);
  });

  test("one in a machine that is gone stands in nobody's way", async () => {
    const journal = new MemoryJournal();
    const gone = { ...keyed(), machineId: machineId.replace(/.{4}$/, "zzzz") };
    const args = { create: "echo first" };
    await create(journal, args);
    const { key } = entryOf(journal);
    const commandId = keepsKeys ? "ex-00000000000000000000" : '[7,true,["0"]]';
    await journal.write({ key, answered: false, commandId, machineId: gone.machineId });
    expect((await create(journal, args)).stdout).toBe("first");
  });

  test("an update and a delete are found again, too, each as its own", async () => {
    const { journal, over } = await killed({ create: "echo run >> /root/which; echo go; sleep 0.5" });
    const olds = { ...inputs({ create: "true" }), stdout: "", stderr: "" };
    const news = inputs({ create: "cat /root/which" });
    expect((await deploy(journal, (context) => core.update(context, "id", olds, news))).stdout).toBe("run");
    const removed = { ...inputs({ create: "true", delete: "cat /root/which" }), stdout: "", stderr: "" };
    await deploy(journal, (context) => core.remove(context, "id", removed));
    expect(lines).toEqual(["run"]);
    await over;
  });

  test("the disk learns nothing of what may be a secret", async () => {
    const journal = new MemoryJournal();
    const environment = { TOKEN: "t0ken-value" };
    await create(journal, { create: "echo of the line", environment, stdin: "pass-phrase" });
    expect(JSON.stringify([...journal.entries.values()])).not.toMatch(/t0ken-value|pass-phrase|of the line/);
  });

  if (!keepsKeys) {
    test("one that may not have been given all of its input is ended and run again", async () => {
      const args = { create: "echo $$ >> /root/fed; echo go; sleep 0.5; cat", stdin: "whole" };
      const { journal, over } = await killed(args);
      const { key, commandId = "" } = entryOf(journal);
      await journal.write({ key, commandId: commandId.replace("true", "false") });
      expect((await create(journal, args)).stdout).toBe("go\nwhole");
      expect(lines.join("\n")).toMatch(/may not have been given all of its standard input: running it again/);
      expect(String(await over)).toMatch(/exit code 137/);
    });
  }
});
