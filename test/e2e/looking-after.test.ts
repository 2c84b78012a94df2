import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { killMarked } from "./support/processes";
import { eventually, start, type Outcome } from "./support/run";
import { repository, Stack } from "./support/stack";

jest.setTimeout(240_000);
const small = { vcpu: 0.25, memoryMiB: 256, storageGiB: 1 };
const imageMissing = { reason: "image_missing", lastError: "no such image: base-9", retryable: false };

describe("looking after a stack", () => {
  const stack = new Stack();
  const { plane } = stack;

  beforeAll(async () => {
    await stack.init();
    await stack.must("stack", "select");
  });
  afterAll(() => stack.dispose());
  afterEach(async () => {
    await plane.faults();
  });

  const run = (args: string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> => {
    const cli = join(repository, "provider", "bin", "pulumi-machines.cjs");
    const place = { cwd: stack.project, env: { ...stack.env, ...env } };
    return start(process.execPath, [cli, ...args], place).ended;
  };
  const last = (text: string): string => text.trimEnd().split("\n").at(-1) ?? "";
  /** The last line of `why`. */
  const why = async (name: string): Promise<string> => {
    const { code, text } = await run(["why", name]);
    expect({ code, text: code === 0 ? "" : text }).toEqual({ code: 0, text: "" });
    return last(text);
  };
  const idOf = (name: string): string => stack.machine(name)?.id ?? "";
  const machineIds = async (): Promise<string[]> =>
    (await plane.machines()).map(({ machineId }) => machineId).sort();

  test("a failing deploy: why says what failed and whether trying again helps, and after the repair who made it", async () => {
    await plane.faults({ on: "start", times: 1, fail: imageMissing });
    stack.write({ web: { args: small } });
    expect((await stack.pulumi("up", "--yes", "--skip-preview")).code).not.toBe(0);
    const sentence = await why("web");
    expect(sentence).toContain(`web (${idOf("web")}) failed `);
    expect(sentence).toMatch(
      / while it was made: image_missing: no such image: base-9; the service says that /,
    );
    expect(sentence).toMatch(
      /trying again will not help: mend what it names first; then "pulumi up" repairs it/,
    );
    const sick = await run(["doctor"]);
    expect(sick.code).toBe(2);
    expect(sick.text).toContain(
      `machine "web" (${idOf("web")}) is failed (image_missing): no such image: base-9`,
    );

    await stack.up({ web: { args: small } });
    expect(await why(idOf("web"))).toMatch(
      /^web \(dm-\w+\) runs since .*: it was made at .* by this stack's "pulumi up" of /,
    );
    const well = await run(["doctor"]);
    expect(well).toEqual({ code: 0, text: 'No fault: the stack and the backend "local" agree.\n' });
  });

  test("autosleep: why names the limit and what wakes it, and doctor does not call it drift", async () => {
    await stack.up({ web: { args: small }, sleepy: { args: { ...small, autosleep: "1s" } } });
    const id = idOf("sleepy");
    const phase = async (wanted: string): Promise<void> => {
      await eventually(`the machine is ${wanted}`, async () =>
        (await plane.client.machines.get(id)).status.phase === wanted ? true : undefined,
      );
    };
    await phase("sleeping");
    expect(await why("sleepy")).toMatch(
      /^sleepy \(dm-\w+\) sleeps because its autosleep of 1s ended at .* and nobody has used it since; a command in it wakes it\.$/,
    );
    expect((await run(["doctor"])).code).toBe(0);
    await plane.client.machines.sleep(idOf("web"));
    await eventually("the machine sleeps", async () =>
      (await plane.client.machines.get(idOf("web"))).status.phase === "sleeping" ? true : undefined,
    );
    expect(await why("web")).toMatch(
      /was put to sleep at .* by somebody else than this stack, although the stack asks/,
    );
    const { code, text } = await run(["why", stack.urn("sleepy"), "--json", "--since", "1h"]);
    expect(code).toBe(0);
    expect(JSON.parse(text)).toMatchObject({ name: "sleepy", id, code: "asleep_autosleep", missing: [] });
  });

  test("a size that was changed by hand is drift; doctor says so and changes nothing", async () => {
    await plane.client.machines.update(idOf("web"), { memoryMiB: 512 });
    const { code, text } = await run(["doctor", "--json"]);
    expect(code).toBe(2);
    expect(JSON.parse(text)).toMatchObject({
      healthy: false,
      findings: [
        {
          kind: "drift",
          subject: "web",
          what: expect.stringContaining("512 MiB of memory and not 256") as string,
        },
      ],
    });
    await stack.up({ web: { args: small }, sleepy: { args: { ...small, autosleep: "1s" } } }, "--refresh");
    expect((await run(["doctor"])).code).toBe(0);
  });

  test("kill -9 of the CLI in a create: doctor finds the machine, changes nothing by itself, and deletes it when told", async () => {
    const before = await machineIds();
    await plane.faults({ on: "start", times: 1, stallMs: 4_000 });
    stack.write({
      web: { args: small },
      sleepy: { args: { ...small, autosleep: "1s" } },
      lost: { args: small },
    });
    const up = stack.begin("up", "--yes", "--skip-preview");
    const lost = await eventually("a new machine", async () =>
      (await machineIds()).find((id) => !before.includes(id)),
    );
    killMarked(stack.mark, "", plane.pid);
    await up.ended;
    expect(await why("lost")).toMatch(
      /^lost \(dm-\w+\) .* The state of this stack does not have it yet: a "pulumi up" was interrupted in its create, or still runs/,
    );
    const state = JSON.stringify(stack.resources());
    const found = await run(["doctor"]);
    expect(found.code).toBe(2);
    expect(found.text).toContain(`machine ${lost} (`);
    expect(found.text).toContain(`adopt: "${lost}"`);
    expect(found.text).toContain('1 pending operation: creating "lost"');
    expect(JSON.stringify(stack.resources())).toBe(state);
    expect(await machineIds()).toEqual([...before, lost].sort());

    const nobody = await run(["doctor", "--fix"]);
    expect(nobody.code).toBe(1);
    expect(nobody.text).toMatch(/--fix asks before each change and needs a terminal/);
    const locked = await run(["doctor", "--fix", "--yes"]);
    expect(locked.code).toBe(2);
    expect(locked.text).toMatch(new RegExp(`FAILED {2}lost: delete machine ${lost}.*locked by 1 lock`));
    expect(await machineIds()).toContain(lost);

    stack.unlock();
    const fixed = await run(["doctor", "--fix", "--yes"]);
    expect(fixed.text).toContain(`DONE  lost: delete machine ${lost}, with its disk`);
    expect(fixed.code).toBe(0);
    expect(await machineIds()).toEqual(before);
    expect((await run(["doctor", "--json"])).text).toContain('"healthy": true');
  });

  test("a machine that was destroyed behind Pulumi's back: why says so, doctor takes the entry out when told", async () => {
    const gone = idOf("sleepy");
    await plane.client.machines.delete(gone);
    await eventually("the machine's end", async () =>
      (await machineIds()).includes(gone) ? undefined : true,
    );
    expect(await why("sleepy")).toMatch(
      /was destroyed at .* by somebody else than this stack; "pulumi refresh" takes it out/,
    );
    const state = JSON.stringify(stack.resources());
    const found = await run(["doctor"]);
    expect(found.code).toBe(2);
    expect(found.text).toContain(`the state has machine "sleepy" (${gone}), and the backend "local" has not`);
    expect(JSON.stringify(stack.resources())).toBe(state);
    const fixed = await run(["doctor", "--fix", "--yes"]);
    expect({ code: fixed.code, last: last(fixed.text) }).toEqual({
      code: 0,
      last: 'No fault: the stack and the backend "local" agree.',
    });
    expect(stack.machine("sleepy")).toBeUndefined();
    expect(stack.machine("web")).toBeDefined();
  });

  test("a refused key is a finding that names the setting, and never the key", async () => {
    const wrong = "wrong-key-0123456789";
    const byVariable = await run(["doctor"], { MACHINES_API_KEY: wrong });
    expect(byVariable.code).toBe(2);
    expect(byVariable.text).toMatch(/FAULT {2}key: the backend "local" refuses the key \(401\)/);
    expect(byVariable.text).toContain("the key comes from the variable MACHINES_API_KEY");
    const sight = await run(["why", "web"], { MACHINES_API_KEY: wrong });
    expect(sight.code).toBe(1);
    expect(last(sight.text)).toMatch(/^web \(dm-\w+\) cannot be looked at now: .*401/);
    await stack.must("config", "set", "--secret", "machines:apiKey", wrong);
    const byConfig = await run(["doctor"]);
    await stack.must("config", "rm", "machines:apiKey");
    expect(byConfig.text).toContain("the key comes from machines:apiKey of the stack");
    for (const { text } of [byVariable, sight, byConfig]) expect(text).not.toContain(wrong);
  });

  test("says in one line what is missing: a project, a stack, a machine, a service", async () => {
    const outside = await run(["why", "web", "--cwd", stack.folder]);
    expect(outside.code).toBe(1);
    expect(outside.text).toMatch(
      /^pulumi-machines: "pulumi stack export" ended with \d+: error: no Pulumi\.yaml/,
    );
    const noStack = await run(["doctor", "--stack", "nope"]);
    expect(noStack.text).toMatch(/error: no stack named 'nope' found/);
    const noMachine = await run(["why", "nobody"]);
    expect(noMachine.text).toMatch(
      /^pulumi-machines: "nobody" is no machine of this stack \(it has web \(dm-\w+\)\)/,
    );
    expect([noStack.code, noMachine.code]).toEqual([1, 1]);
    for (const { text } of [outside, noStack, noMachine]) expect(text.trimEnd().split("\n")).toHaveLength(1);
    const noService = await run(["doctor", "--endpoint", "http://127.0.0.1:1"], {
      MACHINES_API_KEY: "any-key-1234",
    });
    expect(noService.code).toBe(1);
    expect(noService.text).toMatch(/Not looked at: the backend "local" could not be asked: /);
    await stack.must("destroy", "--yes", "--skip-preview");
    expect(await why("web")).toMatch(/was destroyed at .* by this stack's "pulumi destroy" of /);
    const empty = await run(["doctor"]);
    expect(empty).toEqual({ code: 0, text: 'No fault: the stack and the backend "local" agree.\n' });
  });

  test("a machine that is left after the stack's end is told from its names alone, and left alone", async () => {
    writeFileSync(join(stack.project, "machines.json"), "{}");
    await stack.up({ kept: { args: small, opts: { retainOnDelete: true } } });
    const kept = idOf("kept");
    await stack.up({});
    const found = await run(["doctor", "--fix", "--yes"]);
    expect(found.code).toBe(0);
    expect(found.text).toContain(`note  ${kept}: `);
    expect(await machineIds()).toEqual([kept]);
  });
});
