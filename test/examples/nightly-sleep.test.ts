import { Example } from "./support/example";

jest.setTimeout(300_000);

describe("examples/nightly-sleep", () => {
  const stack = new Example("nightly-sleep");
  beforeAll(() => stack.init());
  afterAll(() => stack.dispose());

  test("by day all run", async () => {
    await stack.must("up", "--yes", "--skip-preview");
    expect((await stack.outputs()).phases).toEqual({ team: ["running", "running"], onCall: "running" });
  });

  test("at night the team's sleep, and whoever is on call is left alone", async () => {
    await stack.must("config", "set", "night", "true");
    const text = await stack.must("up", "--yes", "--skip-preview");
    expect(text).toContain("2 updated");
    expect((await stack.outputs()).phases).toEqual({ team: ["sleeping", "sleeping"], onCall: "running" });
  });

  test("the one on call may sleep, too, and nobody calls it drift", async () => {
    const id = stack.machine("on-call")?.id ?? "";
    await stack.plane.client.machines.sleep(id);
    for await (const { status } of stack.plane.client.machines.watch(id))
      if (status.phase === "sleeping") break;
    await stack.must("preview", "--refresh", "--expect-no-changes");
  });

  test("in the morning the same machines run again", async () => {
    const before = stack.machine("ada")?.id;
    await stack.must("config", "set", "night", "false");
    await stack.must("up", "--yes", "--skip-preview");
    expect(stack.machine("ada")).toMatchObject({ id: before, outputs: { phase: "running" } });
    await stack.must("destroy", "--yes");
    expect(await stack.plane.machines()).toEqual([]);
  });
});
