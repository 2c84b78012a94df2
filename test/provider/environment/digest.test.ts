import * as pulumi from "@pulumi/pulumi";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EnvironmentArgs } from "../../../provider/src/environment/args";
import { digestOf } from "../../../provider/src/environment/digest";
import { meaningOf } from "../../../provider/src/environment/parts";

/** As the component makes it. */
const digest = (args: Omit<EnvironmentArgs, "replicas">, replicas = 1): Promise<string> =>
  new Promise((resolve) => {
    pulumi.output(meaningOf({ ...args, replicas })).apply((known: unknown) => {
      resolve(digestOf(known));
    });
  });

const { FileAsset, StringAsset } = pulumi.asset;
const plain = {
  machine: { vcpu: 1, env: { B: "2", A: "1" } },
  files: { "/etc/motd": "Hello\n" },
  setup: ["true", { create: ["npm", "ci"], cwd: "/srv" }],
  triggers: [1],
};

test("is the same for ever", async () => {
  expect(await digest(plain)).toBe("e1-a0e01240711870d9b98d9afbfec76166");
  expect(await digest({})).toBe("e1-cbe785c45e103bcb2a61f4ede30e80a1");
});

test.each<[string, Omit<EnvironmentArgs, "replicas">]>([
  ["a base of another size", { ...plain, machine: { ...plain.machine, vcpu: 2 } }],
  ["another variable", { ...plain, machine: { ...plain.machine, env: { A: "1" } } }],
  ["another content", { ...plain, files: { "/etc/motd": "Goodbye\n" } }],
  ["another path", { ...plain, files: { "/etc/motto": "Hello\n" } }],
  ["other permissions", { ...plain, files: { "/etc/motd": { content: "Hello\n", mode: "0600" } } }],
  ["another line", { ...plain, setup: ["false", ...plain.setup.slice(1)] }],
  ["the lines in another order", { ...plain, setup: [...plain.setup].reverse() }],
  [
    "a variable of a line",
    { ...plain, setup: [{ create: "true", environment: { A: "1" } }, ...plain.setup.slice(1)] },
  ],
  ["another trigger", { ...plain, triggers: [2] }],
])("%s builds anew", async (_what, args) => {
  expect(await digest(args)).not.toBe(await digest(plain));
});

test.each<[string, Omit<EnvironmentArgs, "replicas">]>([
  ["pairs in another order", { ...plain, machine: { env: { A: "1", B: "2" }, vcpu: 1 } }],
  ["the long form of a line", { ...plain, setup: [{ create: "true" }, ...plain.setup.slice(1)] }],
  [
    "how long a line may take",
    { ...plain, setup: [{ create: "true", timeout: "1m" }, ...plain.setup.slice(1)] },
  ],
  ["an asset with the same content", { ...plain, files: { "/etc/motd": new StringAsset("Hello\n") } }],
  ["an output with the same content", { ...plain, files: { "/etc/motd": pulumi.output("Hello\n") } }],
  ["when the base sleeps", { ...plain, machine: { ...plain.machine, autosleep: "1h" } }],
  ["how long the base may take", { ...plain, machine: { ...plain.machine, timeouts: { create: "1h" } } }],
  ["what the replicas are", { ...plain, replica: { vcpu: 4 } }],
  ["what is said of the snapshot", { ...plain, snapshot: { metadata: { team: "shop" } } }],
])("%s builds nothing", async (_what, args) => {
  expect(await digest(args, 7)).toBe(await digest(plain));
});

describe("a file of this computer", () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "digest-"))));
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const put = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const ofFile = (path: string): Promise<string> => digest({ files: { "/a": new FileAsset(path) } });

  test("counts with its content, wherever it lies", async () => {
    const before = await ofFile(put("one", "same"));
    expect(await ofFile(put("other", "same"))).toBe(before);
    expect(await ofFile(put("one", "else"))).not.toBe(before);
  });

  test("in a folder, too", async () => {
    const ofFolder = (): Promise<string> => digest({ files: { "/a": new pulumi.asset.FileArchive(folder) } });
    put("one", "1");
    const before = await ofFolder();
    put("two", "2");
    expect(await ofFolder()).not.toBe(before);
  });
});

test("is as secret as what it is made from", async () => {
  const secret = { ...plain, setup: [{ create: "true", environment: { TOKEN: pulumi.secret("t") } }] };
  expect(await pulumi.isSecret(pulumi.output(meaningOf({ ...secret, replicas: 1 })))).toBe(true);
  expect(await pulumi.isSecret(pulumi.output(meaningOf({ ...plain, replicas: 1 })))).toBe(false);
});
