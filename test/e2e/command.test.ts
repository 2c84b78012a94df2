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
    // What may hold a secret is one: the output, and the hash.
    for (const name of ["stdout", "stderr"]) expect(outputs("login")[name]).toHaveProperty("ciphertext");
    expect(outputs("login").exitCode).toBe(0);
    expect(outputs("key").hash).toHaveProperty("ciphertext");
    await stack.must("preview", "--expect-no-changes");
    await stack.must("preview", "--refresh", "--expect-no-changes");
  });

  test("secrets of any kind: one variable of many, a part of the line, and in a refusal", async () => {
    const program = readFileSync(join(stack.project, "program.cjs"), "utf8");
    const more = (extra: string, plain: string): string => `
      const token = pulumi.secret("t0ken-of-the-shop");
      const machineId = made.web.id;
      const one = new machines.Command("one", { machineId, create: 'printf %s "$TOKEN" | base64; echo $PLAIN', environment: { TOKEN: token, PLAIN: "${plain}" } });
      exports.last = one.stdout.apply((text) => {
        if (text === "") throw new Error("this is no output of a command");
        return text.slice(-10);
      });
      new machines.Command("line", { machineId, create: pulumi.interpolate\`echo logged in with \${token}\` });
      new machines.Command("open", { machineId, create: "echo seen", environment: { PLAIN: "plain-text" } });
      ${extra}
    `;
    const write = (extra = "", plain = "plain-text"): void =>
      writeFileSync(join(stack.project, "program.cjs"), `${program}${more(extra, plain)}`);
    write(`new machines.Command("bad", { machineId, create: "true", environment: { "NO NAME": token } });`);
    const refused = await stack.pulumi("preview");
    expect(refused.code).not.toBe(0);
    expect(refused.text).toMatch(/the argument environment: .*NO NAME/);
    write();
    const encoded = Buffer.from("t0ken-of-the-shop").toString("base64");
    const texts = [refused.text, await stack.must("preview", "--diff"), await up({ web: machine }), state()];
    for (const text of texts) expect(text).not.toContain("t0ken-of-the-shop");
    expect(state()).not.toContain(encoded);
    expect(texts[2]).toMatch(/Command line creating .* its output is not shown: \`create\` holds a secret/);
    expect(texts[2]).not.toContain("logged in with");
    expect(state()).toContain("plain-text");
    expect(outputs("open").stdout).toBe("seen");
    await stack.must("preview", "--expect-no-changes");
    const last = (): Promise<string> => stack.must("stack", "output", "last", "--show-secrets");
    expect(await last()).toBe("plain-text\n");
    expect(await stack.must("stack", "output", "last")).toBe("[secret]\n");
    write("", "other-text");
    await stack.must("preview", "--diff");
    await up({ web: machine });
    expect(await last()).toBe("other-text\n");
    writeFileSync(join(stack.project, "program.cjs"), program);
  });

  test("a command that fails says with what and why, is not recorded, and runs again", async () => {
    const step = (create: string) => ({
      web: machine,
      step: { kind: "Command", args: { machineId: "${web.id}", create, delete: "touch /root/deleted" } },
    });
    writeFileSync(
      join(stack.project, "resources.json"),
      JSON.stringify(step("echo run >> /root/runs; seq 1 30; echo no such package >&2; exit 7")),
    );
    const { code, text } = await stack.pulumi("up", "--yes", "--skip-preview");
    expect(code).not.toBe(0);
    const { id } = stack.machine("web") ?? {};
    expect(text).toContain(`command "step": \`create\` ended with exit code 7`);
    expect(text).toContain(`in machine ${String(id)}`);
    expect(text).toMatch(/its last lines:\s+12\s+13[^]*30\s+no such package\s+next: mend it/);
    expect(stack.resources().some(({ urn }) => urn.endsWith("::step"))).toBe(false);
    await up(step("echo run >> /root/runs; cat /root/runs; ls /root/deleted 2>&1 || true"));
    expect(outputs("step").stdout).toMatch(/^run\nrun\nls: .*No such file/);
    // A change that fails leaves what was there, and is tried again.
    writeFileSync(join(stack.project, "resources.json"), JSON.stringify(step("exit 3")));
    expect((await stack.pulumi("up", "--yes", "--skip-preview")).text).toContain("ended with exit code 3");
    expect(outputs("step").stdout).toMatch(/^run\nrun/);
    await up(step("echo mended"));
    expect(outputs("step").stdout).toBe("mended");
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

  test("a text that was changed or removed by hand is written again, an asset when it changes here", async () => {
    const program = readFileSync(join(stack.project, "program.cjs"), "utf8");
    const asset = `\nnew machines.File("asset", { machineId: made.web.id, path: "/srv/asset", mode: "0750", content: new pulumi.asset.FileAsset("asset.txt") });\n`;
    const text = (content: string) => ({
      web: machine,
      note: { kind: "File", args: { machineId: "${web.id}", path: "/srv/note", content } },
    });
    writeFileSync(join(stack.project, "program.cjs"), program + asset);
    writeFileSync(join(stack.project, "asset.txt"), "asset of the shop\n");
    await up(text("one\n"));
    expect(state()).not.toContain("asset of the shop");
    const id = stack.machine("web")?.id ?? "";
    const shell = async (line: string): Promise<string> =>
      (await stack.plane.client.executions.run(id, { command: ["sh", "-c", line] })).stdout;
    expect(await shell("cat /srv/note /srv/asset; stat -c %a /srv/asset")).toBe(
      "one\nasset of the shop\n750\n",
    );

    await shell("echo other > /srv/note; rm /srv/asset");
    const refreshed = await stack.must("refresh", "--yes");
    expect(refreshed).toMatch(/file "note": \/srv\/note .* was changed outside of Pulumi/);
    expect(refreshed).toMatch(/file "asset": \/srv\/asset is not in machine .* any more/);
    writeFileSync(join(stack.project, "asset.txt"), "another asset\n");
    await up(text("one\n"));
    expect(await shell("cat /srv/note /srv/asset")).toBe("one\nanother asset\n");
    await stack.must("preview", "--refresh", "--expect-no-changes");

    // Under another name it is written first, and then the one that it was is removed.
    await up({ web: machine, memo: text("one\n").note });
    expect(await shell("cat /srv/note")).toBe("one\n");

    writeFileSync(join(stack.project, "program.cjs"), program);
    await up({ web: machine });
    expect(await shell("ls /srv/note /srv/asset 2>/dev/null || echo none")).toBe("none\n");
  });

  test("destroy leaves nothing", async () => {
    await stack.must("destroy", "--yes");
    expect(await stack.plane.machines()).toEqual([]);
  });
});
