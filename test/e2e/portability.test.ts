import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Stack } from "./support/stack";

jest.setTimeout(300_000);

const small = { vcpu: 1, memoryMiB: 256, storageGiB: 1 };
const machine = { kind: "Machine", args: { ...small, autosleep: "never" } };
const note = {
  kind: "File",
  args: { machineId: "${web.id}", path: "/srv/note/hello.txt", content: "hello\n", mode: "0600" },
};
const command = {
  kind: "Command",
  args: {
    machineId: "${web.id}",
    create: 'cat /srv/note/hello.txt && echo "$WHO" && cat',
    environment: { WHO: "world" },
    stdin: "from stdin",
  },
  after: ["note"],
};
/** What every backend can. */
const common = { web: machine, note, greet: command };
/** What only those with snapshots can. */
const whole = {
  ...common,
  golden: { kind: "Snapshot", args: { machineId: "${web.id}" }, after: ["greet"] },
  copy: { kind: "Machine", args: { from: { snapshot: "${golden.id}" }, autosleep: "never" } },
  check: { kind: "Command", args: { machineId: "${copy.id}", create: ["cat", "/srv/note/hello.txt"] } },
};

describe.each([
  { backend: "local", resources: whole },
  { backend: "nullspace", resources: whole },
  { backend: "dedalus", resources: common },
])("one program on $backend, by configuration alone", ({ backend, resources }) => {
  const stack = new Stack("sandbox");
  const { plane } = stack;
  const write = (asked: object): void =>
    writeFileSync(join(stack.project, "resources.json"), JSON.stringify(asked));
  const outputs = (name: string): Record<string, unknown> =>
    stack.resources().find(({ urn }) => urn.endsWith(`::${name}`))?.outputs ?? {};

  beforeAll(async () => {
    copyFileSync(join(__dirname, "support", "resources.cjs"), join(stack.project, "program.cjs"));
    await stack.init();
    const { dedalus, apiKey } = plane.endpoint();
    await stack.must("config", "set", "machines:backend", backend);
    if (backend === "local") return;
    await stack.must("config", "set", "machines:endpoint", dedalus.replace(/dedalus$/, backend));
    await stack.must("config", "set", "--secret", "machines:apiKey", apiKey);
  });
  afterAll(() => stack.dispose());

  test("a deploy makes it all, and a second one finds nothing to do", async () => {
    write(resources);
    const text = await stack.must("up", "--yes", "--skip-preview");
    expect(text).toMatch(/Command greet creating .* hello/);
    expect(outputs("greet")).toMatchObject({
      stdout: "hello\nworld\nfrom stdin",
      exitCode: 0,
      complete: true,
    });
    if ("copy" in resources) expect(outputs("check")).toMatchObject({ stdout: "hello" });
    expect(JSON.stringify(stack.resources())).not.toContain(plane.endpoint().apiKey);
    await stack.must("preview", "--refresh", "--expect-no-changes");
  });

  // The code for the rest is the same on every backend.
  if (backend === "nullspace") {
    test("a change of the file is written, and the command runs again when it says so", async () => {
      const triggers = ["second"];
      write({
        web: machine,
        note: { ...note, args: { ...note.args, content: "hello again\n" } },
        greet: { ...command, args: { ...command.args, triggers } },
      });
      await stack.must("up", "--yes", "--skip-preview");
      expect(outputs("greet")).toMatchObject({ stdout: "hello again\nworld\nfrom stdin" });
      expect(await plane.machines()).toHaveLength(1);
    });

    test("a failing command ends the deploy with its last lines, and runs again", async () => {
      const broken = {
        ...command,
        args: { ...command.args, create: "echo on the way; echo broken >&2; exit 3" },
      };
      write({ web: machine, note, greet: broken });
      const { code, text } = await stack.pulumi("up", "--yes", "--skip-preview");
      expect(code).not.toBe(0);
      expect(text).toMatch(/command "greet": `create` ended with exit code 3/);
      expect(text).toContain("broken");
      write(common);
      await stack.must("up", "--yes", "--skip-preview");
      expect(outputs("greet")).toMatchObject({ exitCode: 0 });
    });
  }

  test("destroy leaves nothing", async () => {
    await stack.must("destroy", "--yes");
    expect(await plane.machines()).toEqual([]);
  });

  if (backend === "dedalus") {
    test("what it does not have is refused by the preview, with the argument and the backend", async () => {
      write({
        ...whole,
        web: { kind: "Machine", args: { ...small, template: "base", metadata: { a: 1 } } },
      });
      const { code, text } = await stack.pulumi("preview");
      expect(code).not.toBe(0);
      expect(text).toMatch(/property template .* the backend "dedalus" has no templates/);
      expect(text).toMatch(/property metadata .* the backend "dedalus" keeps no metadata/);
    });
  }
});
