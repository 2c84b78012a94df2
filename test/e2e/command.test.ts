import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Stack } from "./support/stack";

jest.setTimeout(240_000);
const machine = { kind: "Machine", args: { vcpu: 0.5, memoryMiB: 256, storageGiB: 1, autosleep: "never" } };

describe("commands and files of a stack", () => {
  const stack = new Stack("sandbox");
  const up = async (resources: object): Promise<string> => {
    writeFileSync(join(stack.project, "resources.json"), JSON.stringify(resources));
    return stack.must("up", "--yes", "--skip-preview");
  };
  const outputs = (name: string): Record<string, unknown> =>
    stack.resources().find(({ urn }) => urn.endsWith(`::${name}`))?.outputs ?? {};
  const state = (): string =>
    readFileSync(join(stack.folder, "backend", ".pulumi", "stacks", "shop", "dev.json"), "utf8");

  beforeAll(async () => {
    copyFileSync(join(__dirname, "support", "resources.cjs"), join(stack.project, "program.cjs"));
    await stack.init();
  });
  afterAll(() => stack.dispose());

  test("output comes line by line while the command runs, and secrets of it nowhere", async () => {
    const text = await up({
      web: machine,
      login: {
        kind: "Command",
        args: {
          machineId: "${web.id}",
          create: 'echo first; echo "with $TOKEN"; cat; echo; echo last >&2',
          environment: { TOKEN: "t0ken-of-the-shop" },
          stdin: "pass-phrase-of-the-shop",
        },
        secret: ["environment", "stdin"],
      },
      key: {
        kind: "File",
        args: { machineId: "${web.id}", path: "/root/key", content: "content-of-the-key", mode: "0600" },
        secret: ["content"],
      },
    });
    for (const line of ["first", "with \\[secret\\]", "last"])
      expect(text).toMatch(new RegExp(`Command login creating \\(.*\\) ${line}`));
    for (const secret of ["t0ken-of-the-shop", "pass-phrase-of-the-shop", "content-of-the-key"]) {
      expect(text).not.toContain(secret);
      expect(state()).not.toContain(secret);
    }
    expect(outputs("login").stdout).toBe("first\nwith [secret]\n[secret]");
    // The hash of a secret is as secret.
    expect(outputs("key").hash).toHaveProperty("ciphertext");
    await stack.must("preview", "--expect-no-changes");
  });

  test("triggers run delete and create anew; an update runs its own line; destroy runs delete", async () => {
    const step = (args: object) => ({
      web: machine,
      step: {
        kind: "Command",
        args: {
          machineId: "${web.id}",
          create: "echo created >> /root/log",
          update: "echo updated >> /root/log",
          delete: "echo deleted >> /root/log",
          ...args,
        },
      },
    });
    await up(step({ triggers: [1] }));
    await up(step({ triggers: [1], cwd: "/tmp" }));
    await up(step({ triggers: [2], cwd: "/tmp" }));
    await up({ web: machine });
    await up({
      web: machine,
      log: { kind: "Command", args: { machineId: "${web.id}", create: ["cat", "/root/log"] } },
    });
    expect(outputs("log").stdout).toBe("created\nupdated\ncreated\ndeleted\ndeleted");
  });

  test("a folder of the project is put into the machine, and one file by hand is drift", async () => {
    const folder = join(stack.project, "app");
    mkdirSync(folder);
    writeFileSync(join(folder, "a.txt"), "a\n");
    const program = readFileSync(join(stack.project, "program.cjs"), "utf8");
    const asset = `\nconst app = new machines.File("app", { machineId: made.web.id, path: "/srv/app", content: new pulumi.asset.FileArchive("app") });\n`;
    writeFileSync(join(stack.project, "program.cjs"), program + asset);
    await up({ web: machine });
    await stack.must("preview", "--refresh", "--expect-no-changes");
    const id = stack.machine("web")?.id ?? "";
    const { executions } = stack.plane.client;
    await executions.run(id, { command: ["sh", "-c", "echo other > /srv/app/a.txt"] });
    expect(await stack.must("refresh", "--yes")).toMatch(
      /file "app": \/srv\/app .* was changed outside of Pulumi/,
    );
    await stack.must("up", "--yes", "--skip-preview");
    expect((await executions.run(id, { command: ["cat", "/srv/app/a.txt"] })).stdout).toBe("a\n");
    writeFileSync(join(stack.project, "program.cjs"), program);
  });

  test("destroy leaves nothing", async () => {
    await stack.must("destroy", "--yes");
    expect(await stack.plane.machines()).toEqual([]);
  });
});
