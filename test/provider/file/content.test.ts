import * as pulumi from "@pulumi/pulumi";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "tar";
import { resolveContent } from "../../../provider/src/file/content";
import { tarOf } from "../../../provider/src/file/archive";
import { archiveHash } from "../../../provider/src/file/hash";

const sha = (text: string): string => createHash("sha256").update(text).digest("hex");

let folder: string;
let packed: string;
beforeEach(() => {
  packed = mkdtempSync(join(tmpdir(), "machines-packed-"));
  folder = mkdtempSync(join(tmpdir(), "machines-content-"));
  mkdirSync(join(folder, "below"));
  writeFileSync(join(folder, "a.txt"), "a");
  writeFileSync(join(folder, "below", "b.sh"), "b", { mode: 0o755 });
});
afterEach(() => {
  for (const made of [folder, packed]) rmSync(made, { recursive: true });
});

describe("the content that a program gives", () => {
  test("a text, and a text asset, are the same", async () => {
    const text = await resolveContent("hello");
    expect(text).toEqual({ source: { kind: "text", text: "hello" }, hash: sha("hello") });
    expect(await resolveContent(new pulumi.asset.StringAsset("hello"))).toEqual(text);
  });

  test("a file stays on disk until it is written, and counts with its content", async () => {
    const path = join(folder, "a.txt");
    expect(await resolveContent(new pulumi.asset.FileAsset(path))).toEqual({
      source: { kind: "file", path },
      hash: sha("a"),
    });
  });

  test("the same files have the same hash, however they are given", async () => {
    const whole = await resolveContent(new pulumi.asset.FileArchive(folder));
    const parts = await resolveContent(
      new pulumi.asset.AssetArchive({
        "below/b.sh": new pulumi.asset.StringAsset("b"),
        "a.txt": new pulumi.asset.FileAsset(join(folder, "a.txt")),
      }),
    );
    const nested = await resolveContent(
      new pulumi.asset.AssetArchive({
        "a.txt": new pulumi.asset.StringAsset("a"),
        below: new pulumi.asset.FileArchive(join(folder, "below")),
      }),
    );
    const file = (name: string, text: string, executable: boolean) => ({ name, hash: sha(text), executable });
    const hash = archiveHash([file("a.txt", "a", false), file("below/b.sh", "b", true)]);
    expect([whole.hash, nested.hash]).toEqual([hash, hash]);
    // A text is no program.
    expect(parts.hash).toBe(archiveHash([file("a.txt", "a", false), file("below/b.sh", "b", false)]));
  });

  test("what an archive packs is what its hash says", async () => {
    const { source, hash } = await resolveContent(new pulumi.asset.FileArchive(folder));
    if (source.kind !== "archive") throw new Error("no archive");
    const { files, size, hash: packed } = await tarOf(source.entries);
    expect(packed).toBe(hash);
    expect(files).toEqual({ "a.txt": sha("a"), "below/b.sh": sha("b") });
    expect(size).toBe(2);
  });

  test.each([
    [
      "a file that is not there",
      () => new pulumi.asset.FileAsset(join(folder, "none")),
      /there is no ".*none"/,
    ],
    ["a remote asset", () => new pulumi.asset.RemoteAsset("https://example.com/x"), /is not fetched/],
    [
      "an archive that is packed otherwise",
      () => new pulumi.asset.FileArchive(join(folder, "a.txt")),
      /neither \.tar nor \.tar\.gz nor \.tgz: give the folder/,
    ],
    [
      "a name that leads out of the folder",
      () => new pulumi.asset.AssetArchive({ "../x": new pulumi.asset.StringAsset("") }),
      /"\.\.\/x" cannot be/,
    ],
  ])("%s is refused, and what to give instead is said", async (_name, content, words) => {
    await expect(resolveContent(content())).rejects.toThrow(words);
  });

  test("a link in a folder is not followed", async () => {
    symlinkSync("/etc/passwd", join(folder, "link"));
    await expect(resolveContent(new pulumi.asset.FileArchive(folder))).rejects.toThrow(
      /neither a file nor a folder/,
    );
  });

  test.each([
    ["a.tar", {}],
    ["a.tar.gz", { gzip: true }],
    ["a.TGZ", { gzip: true }],
  ])("a packed archive %s is the folder that it was", async (name, options) => {
    const file = join(packed, name);
    await create({ file, cwd: folder, ...options }, ["."]);
    const whole = await resolveContent(new pulumi.asset.FileArchive(folder));
    const found = await resolveContent(new pulumi.asset.FileArchive(file));
    expect(found.hash).toBe(whole.hash);
    if (found.source.kind !== "archive") throw new Error("no archive");
    expect(await tarOf(found.source.entries)).toMatchObject({
      hash: whole.hash,
      files: { "a.txt": sha("a"), "below/b.sh": sha("b") },
      size: 2,
    });
    // Below another name it is a part of a greater one.
    const nested = await resolveContent(
      new pulumi.asset.AssetArchive({ in: new pulumi.asset.FileArchive(file) }),
    );
    expect(nested.source).toMatchObject({
      entries: [
        { name: "in/a.txt", path: file, member: "a.txt" },
        { name: "in/below/b.sh", path: file, member: "below/b.sh" },
      ],
    });
  });

  test("a packed archive that is none, or that holds a link or a way out, is refused in words", async () => {
    const file = join(packed, "bad.tar.gz");
    const resolved = () => resolveContent(new pulumi.asset.FileArchive(file));
    writeFileSync(file, "this is no tar");
    await expect(resolved()).rejects.toThrow(/bad\.tar\.gz" cannot be read as a tar/);
    symlinkSync("/etc/passwd", join(folder, "link"));
    await create({ file, cwd: folder, gzip: true }, ["."]);
    await expect(resolved()).rejects.toThrow(/"link" in "bad\.tar\.gz" is neither a file nor a folder/);
    await create({ file, cwd: join(folder, "below"), gzip: true, preservePaths: true }, ["../a.txt"]);
    await expect(resolved()).rejects.toThrow(/the name "\.\.\/a\.txt" cannot be/);
  });
});
