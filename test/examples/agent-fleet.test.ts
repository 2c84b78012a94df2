import { Example } from "./support/example";

jest.setTimeout(300_000);

describe("examples/agent-fleet, as its README goes through it", () => {
  const stack = new Example("agent-fleet");
  const phases = async () => (await stack.plane.machines()).map(({ status }) => status.phase);
  beforeAll(() => stack.plane.start());
  afterAll(() => stack.dispose());

  test("deploy: every agent starts from the golden snapshot and does its task", async () => {
    const { code, text } = await stack.follow("pulumi stack init dev");
    expect([code, text]).toEqual([0, expect.stringContaining("self-test: ok")]);
    const { results } = await stack.outputs();
    expect(results).toEqual(
      [0, 1].map((n) => `agent ${String(n)} works on: count the words of this task\nfinished with 6 words`),
    );
  });

  test("break: one more agent fails to start, and the terminal says why", async () => {
    const { code, text } = await stack.follow("npx machines-local faults faults.json");
    expect(code).not.toBe(0);
    for (const line of stack.shown("phase failed")) expect(text).toMatch(line);
    expect((await phases()).filter((phase) => phase === "failed")).toHaveLength(1);
  });

  test("why: the timeline and its last sentence are those that the README shows", async () => {
    const { code, text } = await stack.follow("npx pulumi-machines why agents-2");
    expect(code).toBe(0);
    for (const line of stack.shown("lifecycle")) expect(text).toMatch(line);
  });

  test("repair: the next deploy mends it, and touches no other agent", async () => {
    const before = ["agents-0", "agents-1", "agents-2"].map((name) => stack.machine(name)?.id);
    const { code, text } = await stack.follow("pulumi stack output results");
    expect([code, text]).toEqual([0, expect.stringContaining("agent 2 works on")]);
    expect((await stack.outputs()).machines).toEqual(before);
    for (const phase of await phases()) expect(phase).toMatch(/running|sleeping/);
  });

  test("report: a change is shown as in a pull request", async () => {
    const { code, text } = await stack.follow("npx pulumi-machines report");
    expect(code).toBe(3);
    expect(text).toContain("<!-- pulumi-machines report: agent-fleet/dev -->");
    for (const line of stack.shown("🔴")) expect(text).toMatch(line);
    expect(text).toContain("2 commands to update");
  });

  test("destroy: nothing is left", async () => {
    const { code } = await stack.follow("pulumi destroy");
    expect(code).toBe(0);
    expect(await stack.plane.machines()).toEqual([]);
  });
});
