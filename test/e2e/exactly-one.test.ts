import { join } from "node:path";
import { rmSync } from "node:fs";
import { killMarked, marked } from "./support/processes";
import { eventually, type Running } from "./support/run";
import { Stack, type Machines } from "./support/stack";

jest.setTimeout(240_000);
type Args = Record<string, unknown>;
const small = { vcpu: 0.25, memoryMiB: 256, storageGiB: 1 };
/** The next machine takes its time to start, so that there is a create to interrupt. */
const slowStart = { on: "start", times: 1, stallMs: 4_000 };

describe("exactly one machine", () => {
  const stack = new Stack();
  const { plane } = stack;

  beforeAll(() => stack.init());
  afterAll(() => stack.dispose());
  afterEach(async () => {
    await plane.faults();
  });

  /** Begins an `up` and waits until the control plane has the machine that it makes. */
  async function createUnderWay(
    name: string,
    args: Args = small,
  ): Promise<{ up: Running; machineId: string }> {
    const known = new Set((await plane.machines()).map((machine) => machine.machineId));
    await plane.faults(slowStart);
    stack.write({ ...keep(name), [name]: { args: { ...args } } });
    const up = stack.begin("up", "--yes", "--skip-preview");
    let over = "";
    void up.ended.then(({ text }) => (over = text));
    const made = await eventually("a new machine", async () => {
      if (over) throw new Error(`the deploy was over too early:\n${over}`);
      return (await plane.machines()).find((machine) => !known.has(machine.machineId));
    });
    return { up, machineId: made.machineId };
  }

  /** The machines that the stack has already, so that the program still names them. */
  function keep(except: string): Machines {
    const names = stack
      .resources()
      .filter(({ type }) => type.endsWith("machines:Machine"))
      .map(({ urn }) => urn.slice(urn.lastIndexOf("::") + 2))
      .filter((name) => name !== except);
    return Object.fromEntries(names.map((name) => [name, { args: small }]));
  }

  const upAgain = (name: string, args: Args = small): Promise<string> =>
    stack.up({ ...keep(name), [name]: { args: { ...args } } });

  test("after kill -9 of the CLI and all it started, during a create", async () => {
    const { machineId } = await createUnderWay("killed-cli");
    expect(killMarked(stack.mark, "", plane.pid)).toBeGreaterThan(2);
    stack.unlock();
    await upAgain("killed-cli");
    expect(stack.machine("killed-cli")?.id).toBe(machineId);
    expect(await plane.machines()).toHaveLength(1);
  });

  test("after kill -9 of the provider, when the program asks for another size by then", async () => {
    const { up, machineId } = await createUnderWay("killed-provider");
    expect(killMarked(stack.mark, "dynamic-provider")).toBeGreaterThan(0);
    expect((await up.ended).code).not.toBe(0);
    await upAgain("killed-provider", { ...small, memoryMiB: 512 });
    expect(stack.machine("killed-provider")).toMatchObject({ id: machineId, outputs: { memoryMiB: 512 } });
    expect(await plane.machines()).toHaveLength(2);
  });

  test("after kill -9 of the control plane, which comes back while the deploy waits", async () => {
    const { up, machineId } = await createUnderWay("killed-plane");
    await plane.kill9();
    await plane.start();
    const { code, text } = await up.ended;
    expect({ code, text: code === 0 ? "" : text }).toEqual({ code: 0, text: "" });
    expect(stack.machine("killed-plane")?.id).toBe(machineId);
    expect(await plane.machines()).toHaveLength(3);
  });

  test("after a lost answer", async () => {
    await plane.faults({ on: "request", method: "POST", path: "/v1/machines", times: 1, loseAnswer: true });
    await upAgain("lost-answer");
    expect(await plane.machines()).toHaveLength(4);
  });

  test("a forced replacement with unchanged inputs gives a new machine", async () => {
    const before = stack.machine("lost-answer")?.id;
    await stack.must("up", "--yes", "--skip-preview", "--replace", stack.urn("lost-answer"));
    const after = stack.machine("lost-answer")?.id;
    expect(after).not.toBe(before);
    const ids = (await plane.machines()).map((machine) => machine.machineId);
    expect(ids).toHaveLength(4);
    expect(ids).toContain(after);
    expect(ids).not.toContain(before);
  });

  test("on a computer that knows nothing, a forced replacement with a refresh gives a new machine", async () => {
    rmSync(join(stack.folder, "state", "pulumi-machines", "creates"), { recursive: true });
    const before = stack.machine("lost-answer")?.id;
    const urn = stack.urn("lost-answer");
    await stack.must("up", "--yes", "--skip-preview", "--refresh", "--replace", urn);
    expect(stack.machine("lost-answer")?.id).not.toBe(before);
    expect(await plane.machines()).toHaveLength(4);
  });

  test("on a computer that knows nothing, a forced replacement without one keeps the machine and says so", async () => {
    rmSync(join(stack.folder, "state", "pulumi-machines", "creates"), { recursive: true });
    const before = stack.machine("lost-answer")?.id;
    const urn = stack.urn("lost-answer");
    const text = await stack.must("up", "--yes", "--skip-preview", "--replace", urn);
    expect(text).toContain(`was kept, not replaced`);
    expect(text).toContain(`pulumi up --refresh --replace '${urn}'`);
    expect(stack.machine("lost-answer")?.id).toBe(before);
    expect((await plane.machines()).map((machine) => machine.machineId)).toContain(before);
  });

  test("a smaller disk replaces the machine where the program allows it, also when the old one goes first", async () => {
    const large = { ...small, storageGiB: 3 };
    const rest = keep("lost-answer");
    await stack.up({ ...rest, "lost-answer": { args: large } });
    const first = stack.machine("lost-answer")?.id;
    const replaceOnChanges = { replaceOnChanges: ["storageGiB"], deleteBeforeReplace: true };
    await stack.up({ ...rest, "lost-answer": { args: { ...small, storageGiB: 2 }, opts: replaceOnChanges } });
    const second = stack.machine("lost-answer")?.id;
    await stack.up({ ...rest, "lost-answer": { args: { ...small, replaceOnStorageShrink: true } } });
    const third = stack.machine("lost-answer")?.id;
    expect(new Set([first, second, third]).size).toBe(3);
    expect((await plane.machines()).map((machine) => machine.machineId)).toContain(third);
    expect(await plane.machines()).toHaveLength(4);
  });

  test("destroy leaves no machine, not even one of a killed create, and no process stays behind", async () => {
    const { machineId } = await createUnderWay("never-recorded");
    killMarked(stack.mark, "", plane.pid);
    stack.unlock();
    const text = await stack.must("destroy", "--yes", "--skip-preview");
    expect(text).toContain(`machine "never-recorded" (${machineId}), left by a create that was interrupted`);
    expect(await plane.machines()).toEqual([]);
    await eventually("the end of every provider", () =>
      marked(stack.mark, "dynamic-provider").length === 0 ? true : undefined,
    );
  });
});
