import { eventually } from "../e2e/support/run";
import { Example } from "./support/example";

jest.setTimeout(300_000);

describe("examples/failing-deploys, as its README goes through it", () => {
  const stack = new Example("failing-deploys", "rehearsal");
  const id = () => stack.machine("web")?.id;
  beforeAll(async () => {
    await stack.plane.start();
    await stack.must("stack", "init");
  });
  afterAll(() => stack.dispose());

  test("1: a failure for good is told with its error, and the next deploy repairs the same machine", async () => {
    const { code, text } = await stack.follow("1-for-good");
    expect(code).not.toBe(0);
    for (const line of stack.shown("base-9")) expect(text).toMatch(line);
    const failed = id();
    const repair = await stack.must("up", "--yes", "--skip-preview");
    expect(repair).toContain("1 updated");
    expect(id()).toBe(failed);
    await stack.must("destroy", "--yes");
  });

  test("2: failures that pass are answered within the deploy", async () => {
    const { code, text } = await stack.follow("2-for-now");
    expect(code).toBe(0);
    for (const line of stack.shown("retry 1 of 2")) expect(text).toMatch(line);
  });

  test("3: a machine that does not get on is given up at the deadline, and is not lost", async () => {
    const { code, text } = await stack.follow("3-stuck");
    expect(code).not.toBe(0);
    for (const line of stack.shown("is not running after")) expect(text).toMatch(line);
    expect(id()).toBeDefined();
    const after = await stack.follow("why web");
    expect(after.code).toBe(0);
    for (const line of stack.shown("is not running yet")) expect(after.text).toMatch(line);
    expect(await stack.plane.machines()).toEqual([]);
  });

  test("4: too many requests are waited out", async () => {
    const { code, text } = await stack.follow("4-busy");
    expect(code).toBe(0);
    expect(text).toContain("3 created");
    expect(text).not.toContain("error:");
  });

  test("5: an answer that is lost makes no second machine", async () => {
    const { code, text } = await stack.follow("5-lost-answer");
    expect(code).toBe(0);
    expect(text).toMatch(/Machines +1$/m);
    expect(await stack.plane.machines()).toEqual([]);
  });

  test("6: a deploy that is killed leaves a machine, which the next one finds", async () => {
    await stack.rehearse("faults/6-slow.json");
    const deploy = stack.begin("up", "--yes", "--skip-preview");
    await eventually(
      "the machine that starts",
      () => /Machine web .*starting/.test(deploy.text()) || undefined,
    );
    process.kill(-(deploy.child.pid as number), "SIGKILL");
    await deploy.ended;
    const [left] = await stack.plane.machines();
    const { code, text } = await stack.follow("pulumi cancel");
    expect(code).toBe(0);
    for (const line of stack.shown("pending operations from")) expect(text).toMatch(line);
    expect((await stack.plane.machines()).map(({ machineId }) => machineId)).toEqual([left?.machineId]);
    expect(id()).toBe(left?.machineId);
  });

  test("done: nothing is left, and no fault is in force", async () => {
    const { code, text } = await stack.follow("pulumi stack rm");
    expect([code, text]).toEqual([0, expect.stringContaining("No faults are in force.")]);
    expect(await stack.plane.machines()).toEqual([]);
  });
});
