import { Example } from "./support/example";

jest.setTimeout(300_000);

describe("examples/failing-deploys, step by step", () => {
  const stack = new Example("failing-deploys");
  beforeAll(() => stack.init());
  afterAll(() => stack.dispose());

  const up = () => stack.pulumi("up", "--yes", "--skip-preview");

  test("1: a failure for good is told with its error, and the next deploy repairs the same machine", async () => {
    await stack.rehearse("faults/1-for-good.json");
    const { code, text } = await up();
    expect(code).not.toBe(0);
    expect(text).toMatch(/machine "web" .* failed after starting: no such image: base-9/);
    expect(text).toContain("the service says that trying again will not help");
    const id = stack.machine("web")?.id;
    await stack.must("up", "--yes", "--skip-preview");
    expect(stack.machine("web")?.id).toBe(id);
    await stack.must("destroy", "--yes");
  });

  test("2: failures that pass are answered within the deploy", async () => {
    await stack.rehearse("faults/2-for-now.json");
    const text = await stack.must("up", "--yes", "--skip-preview");
    expect(text).toMatch(/retry 1 of 2/);
    expect(text).toMatch(/retry 2 of 2/);
    await stack.must("destroy", "--yes");
  });

  test("3: a machine that does not get on is given up at the deadline, and is not lost", async () => {
    await stack.rehearse("faults/3-stuck.json");
    const { code, text } = await up();
    expect(code).not.toBe(0);
    expect(text).toMatch(/machine "web" .* is not running after 15 s: starting/);
    expect(stack.machine("web")?.id).toBeDefined();
    await stack.must("destroy", "--yes");
    expect(await stack.plane.machines()).toEqual([]);
  });

  test("4: too many requests are waited out, with the reason on the terminal", async () => {
    await stack.rehearse("faults/4-busy.json");
    const text = await stack.must("up", "--yes", "--skip-preview");
    expect(stack.machine("web")?.outputs?.phase).toBe("running");
    expect(text).not.toContain("error:");
    await stack.must("destroy", "--yes");
  });

  test("5: an answer that is lost makes no second machine", async () => {
    await stack.rehearse("faults/5-lost-answer.json");
    await stack.must("up", "--yes", "--skip-preview");
    expect(await stack.plane.machines()).toHaveLength(1);
    await stack.must("destroy", "--yes");
    expect(await stack.plane.machines()).toEqual([]);
  });
});
