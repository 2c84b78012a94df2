import { Example } from "./support/example";

jest.setTimeout(300_000);

describe("examples/agent-fleet, as its README goes through it", () => {
  const stack = new Example("agent-fleet");
  beforeAll(() => stack.init());
  afterAll(() => stack.dispose());

  test("deploy: every agent starts from the golden snapshot and does its task", async () => {
    const text = await stack.must("up", "--yes", "--skip-preview");
    expect(text).toContain("self-test: ok");
    const { results } = await stack.outputs();
    expect(results).toEqual(
      [0, 1].map((n) => `agent ${String(n)} works on: count the words of this task\nfinished with 6 words`),
    );
  });

  test("break: one more agent fails to start, and the terminal says why", async () => {
    await stack.rehearse("faults.json");
    await stack.must("config", "set", "agents", "3");
    const { code, text } = await stack.pulumi("up", "--yes", "--skip-preview");
    expect(code).not.toBe(0);
    expect(text).toMatch(
      /machine "agents-2" .* failed after starting: the disk of the new machine cannot be read/,
    );
    expect(text).toContain("reason disk_unreadable, retryable: no");
  });

  test("why: the command ends in the sentence that the README shows", async () => {
    const { text } = await stack.machines("why", "agents-2", "--stack", "dev");
    expect(text).toMatch(/failed .*disk_unreadable/);
    expect(text).toContain("the disk of the new machine cannot be read");
  });

  test("repair: the next deploy mends it, and touches no other agent", async () => {
    const before = stack.machine("agents-0")?.id;
    await stack.must("up", "--yes", "--skip-preview");
    const { machines } = (await stack.outputs()) as { machines: string[] };
    expect(machines).toHaveLength(3);
    expect(machines[0]).toBe(before);
    for (const { status } of await stack.plane.machines()) expect(status.phase).toMatch(/running|sleeping/);
  });

  test("report: a change is shown as a pull request would", async () => {
    await stack.must("config", "set", "agents", "1");
    const { code, text } = await stack.machines("report", "--stack", "dev");
    expect(code).toBe(3);
    expect(text).toMatch(/agents-2.*delete/);
    expect(text).toContain("<!-- pulumi-machines report: shop/dev -->");
  });

  test("destroy: nothing is left", async () => {
    await stack.must("destroy", "--yes");
    expect(await stack.plane.machines()).toEqual([]);
  });
});
