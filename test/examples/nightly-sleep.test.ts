import { Example } from "./support/example";

jest.setTimeout(300_000);

describe("examples/nightly-sleep, as its README goes through it", () => {
  const stack = new Example("nightly-sleep", "team");
  const phases = async () => (await stack.outputs()).phases;
  const ids = () => ["ada", "grace", "on-call"].map((name) => stack.machine(name)?.id);
  beforeAll(() => stack.plane.start());
  afterAll(() => stack.dispose());

  test("by day all run", async () => {
    expect((await stack.follow("stack init")).code).toBe(0);
    expect(await phases()).toEqual({ team: ["running", "running"], onCall: "running" });
  });

  test("at night the team's sleep, and the one on call is left alone", async () => {
    const { code, text } = await stack.follow("night true");
    expect([code, text]).toEqual([0, expect.stringContaining("2 updated")]);
    for (const line of stack.shown("onCall")) expect(text).toMatch(line);
  });

  test("the one on call may sleep, too, and nobody calls it drift", async () => {
    const [, , onCall = ""] = ids();
    const { machines } = stack.plane.client;
    await machines.sleep(onCall);
    for await (const { status } of machines.watch(onCall)) if (status.phase === "sleeping") break;
    await stack.must("preview", "--refresh", "--expect-no-changes");
  });

  test("in the morning the same machines run again", async () => {
    const before = ids();
    expect((await stack.follow("night false")).code).toBe(0);
    expect(await phases()).toMatchObject({ team: ["running", "running"] });
    expect(ids()).toEqual(before);
    const onCall = await stack.plane.client.machines.get(before[2] ?? "");
    expect(onCall.status.phase).toBe("sleeping");
  });

  test("the workflow's step puts them to sleep and wakes them", async () => {
    const step = stack.step("nightly-sleep.yml", "Sleep or wake");
    expect(step.env.NIGHT).toContain("github.event.schedule == '0 19 * * 1-5'");
    for (const [night, phase] of [
      ["true", "sleeping"],
      ["false", "running"],
    ] as const) {
      expect((await stack.shell(step.run, { NIGHT: night })).code).toBe(0);
      expect(await phases()).toMatchObject({ team: [phase, phase] });
    }
  });

  test("nothing is left", async () => {
    expect((await stack.follow("destroy")).code).toBe(0);
    expect(await stack.plane.machines()).toEqual([]);
  });
});
