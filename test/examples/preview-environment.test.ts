import { Example } from "./support/example";

jest.setTimeout(300_000);

describe("examples/preview-environment, as its README goes through it", () => {
  const stack = new Example("preview-environment", "pr-42");
  beforeAll(() => stack.plane.start());
  afterAll(() => stack.dispose());

  test("a pull request gets a machine with its files, built and checked", async () => {
    const { code, text } = await stack.follow("stack init pr-42");
    expect(code).toBe(0);
    for (const line of stack.shown("at abc1234")) expect(text).toMatch(line);
    expect((await stack.outputs()).page).toBe("Preview of #42 at abc1234");
  });

  test("a new commit is built on the same machine", async () => {
    const before = stack.machine("preview")?.id;
    const { code, text } = await stack.follow("commit def5678");
    expect(code).toBe(0);
    for (const line of stack.shown("at def5678")) expect(text).toMatch(line);
    expect(stack.machine("preview")?.id).toBe(before);
  });

  test("a page that its check refuses fails the deploy, with the last lines of it", async () => {
    const { code, text } = await stack.follow("without its number");
    expect(code).not.toBe(0);
    for (const line of stack.shown("exit code 1")) expect(text).toMatch(line);
  });

  test("a closed pull request leaves nothing", async () => {
    expect((await stack.follow("destroy")).code).toBe(0);
    expect(await stack.plane.machines()).toEqual([]);
  });

  test("the workflow does the same: a push deploys, and closing destroys", async () => {
    const env = { NUMBER: "42", COMMIT: "0123abc" };
    const deploy = stack.step("preview-environment.yml", "Deploy");
    await stack.shell("echo 'Preview of #@PULL_REQUEST@ at @COMMIT@' > app/page.txt");
    const pushed = await stack.shell(deploy.run, env);
    expect([pushed.code, pushed.text]).toEqual([0, expect.stringContaining("Preview of #42 at 0123abc")]);
    const closed = await stack.shell(stack.step("preview-environment.yml", "Destroy").run, env);
    expect(closed.code).toBe(0);
    expect(await stack.plane.machines()).toEqual([]);
  });
});
