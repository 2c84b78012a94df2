import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Example } from "./support/example";

jest.setTimeout(300_000);

describe("examples/preview-environment", () => {
  const stack = new Example("preview-environment");
  beforeAll(async () => {
    await stack.init();
    await stack.must("config", "set", "pullRequest", "42");
    await stack.must("config", "set", "commit", "abc1234");
  });
  afterAll(() => stack.dispose());

  test("a pull request gets a machine with its files, built and checked", async () => {
    await stack.must("up", "--yes", "--skip-preview");
    expect((await stack.outputs()).page).toBe("Preview of #42 at abc1234");
  });

  test("a new commit is built on the same machine", async () => {
    const before = stack.machine("preview")?.id;
    await stack.must("config", "set", "commit", "def5678");
    writeFileSync(join(stack.project, "app", "page.txt"), "Second preview of #@PULL_REQUEST@ at @COMMIT@\n");
    await stack.must("up", "--yes", "--skip-preview");
    expect((await stack.outputs()).page).toBe("Second preview of #42 at def5678");
    expect(stack.machine("preview")?.id).toBe(before);
  });

  test("a page that its check refuses fails the deploy, with the last lines of it", async () => {
    writeFileSync(join(stack.project, "app", "page.txt"), "no number\n");
    const { code, text } = await stack.pulumi("up", "--yes", "--skip-preview");
    expect(code).not.toBe(0);
    expect(text).toMatch(/command "check": `create` ended with exit code 1/);
  });

  test("a closed pull request leaves nothing", async () => {
    await stack.must("destroy", "--yes");
    expect(await stack.plane.machines()).toEqual([]);
  });
});
