import * as pulumi from "@pulumi/pulumi";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { digestOf } from "../../../provider/src/environment/digest";

const { AssetArchive, FileArchive, FileAsset, RemoteAsset, StringAsset } = pulumi.asset;

/** As the component does it: assets are promises inside until Pulumi has kept them. */
const digest = (value: unknown): Promise<string> =>
  new Promise((resolve) => {
    (pulumi.output(value) as pulumi.Output<unknown>).apply((kept) => {
      resolve(digestOf(kept));
    });
  });

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "digest-"))));
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});
const put = (path: string, text: string): string => {
  const file = join(folder, path);
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, text);
  return file;
};

test("is the same for ever", async () => {
  const above = {
    machine: { vcpu: 1, env: { B: "2", A: "1" } },
    files: {},
    setup: [{ create: "true" }],
    triggers: [],
  };
  expect(await digest(above)).toBe("e1-723242c9b6171e6b3a4a18055f025720");
});

test("does not ask in which order pairs are written, nor what is undefined", async () => {
  expect(await digest({ a: 1, b: [2], c: undefined })).toBe(await digest({ b: [2], a: 1 }));
});

test("tells values from each other that look alike", async () => {
  const values = [["a", "b"], ["ab"], [["a"], "b"], { a: "b" }, [1], ["1"], [true], ["true"], [null], [], {}];
  const digests = await Promise.all(values.map(digest));
  expect(new Set(digests).size).toBe(values.length);
});

test("takes a file for its content, wherever it lies", async () => {
  const one = put("one/a.txt", "same");
  const other = put("other/b.txt", "same");
  expect(await digest(new FileAsset(one))).toBe(await digest(new FileAsset(other)));
  expect(await digest(new FileAsset(one))).toBe(await digest(new StringAsset("same")));
  const before = await digest(new FileAsset(one));
  put("one/a.txt", "else");
  expect(await digest(new FileAsset(one))).not.toBe(before);
});

test("takes a folder for all that is in it", async () => {
  put("tree/a/b.txt", "1");
  put("tree/c.txt", "2");
  const tree = (): Promise<string> => digest(new FileArchive(join(folder, "tree")));
  const before = await tree();
  expect(await tree()).toBe(before);
  put("tree/a/b.txt", "3");
  const changed = await tree();
  put("tree/a/d.txt", "");
  const added = await tree();
  expect(new Set([before, changed, added]).size).toBe(3);
});

test("takes an archive for its parts, and an address for itself", async () => {
  const archive = (text: string): unknown =>
    new AssetArchive({ x: new StringAsset(text), "y/z": new StringAsset("z") });
  expect(await digest(archive("1"))).toBe(await digest(archive("1")));
  expect(await digest(archive("1"))).not.toBe(await digest(archive("2")));
  const remote = (uri: string): unknown => new RemoteAsset(uri);
  expect(await digest(remote("https://a.test/1"))).not.toBe(await digest(remote("https://a.test/2")));
});

test("names a file that is not there", () => {
  const missing = join(folder, "missing.txt");
  expect(() => digestOf({ __pulumiAsset: true, path: missing })).toThrow(
    new RegExp(`"${missing}" cannot be put into the environment: ENOENT`),
  );
});

test("follows a link to a file", async () => {
  symlinkSync(put("a.txt", "linked"), join(folder, "link"));
  expect(await digest(new FileAsset(join(folder, "link")))).toBe(await digest(new StringAsset("linked")));
});
