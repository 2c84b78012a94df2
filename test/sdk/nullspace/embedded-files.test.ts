/** Files of real machines through the embedded control plane, small and large, there and back. */
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import type { Local } from "../../../local/src/start-local";
import { NullspaceClient } from "../../../sdk/src/nullspace/client";
import { startTestLocal } from "../../local/dedalus/control-plane";
import { failureOf } from "./client-to";

let local: Local;
let client: NullspaceClient;
let id: string;
const folder = mkdtempSync(join(tmpdir(), "nullspace-embedded-files-"));
beforeAll(async () => {
  local = await startTestLocal({ driver: "auto" });
  client = new NullspaceClient({ apiKey: local.apiKey, baseUrl: local.nullspace });
  ({ id } = await client.machines.create({ vcpus: 1, memoryMb: 512, diskMb: 2048, timeoutMs: 3_600_000 }));
});
afterAll(async () => {
  await client.close();
  await local.close();
  rmSync(folder, { recursive: true });
});

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const sh = async (command: string): Promise<string> =>
  (await client.commands.run(id, command, { shell: true })).stdout;

test("text goes there and comes back, and the machine sees it", async () => {
  const { files } = client;
  expect(await files.write(id, "/work/deep/a b.txt", "grüße\n")).toEqual({ bytes: 8 });
  expect(await files.read(id, "/work/deep/a b.txt")).toBe("grüße\n");
  expect(await sh("cat '/work/deep/a b.txt'")).toBe("grüße\n");
  expect(await files.stat(id, "/work/deep/a b.txt")).toMatchObject({
    name: "a b.txt",
    path: "/work/deep/a b.txt",
    isDir: false,
    size: 8,
    type: "file",
  });
  await files.write(id, "/work/empty", new Uint8Array(0));
  expect(await files.read(id, "/work/empty")).toBe("");
});

test("folders are made, listed, renamed and removed; permissions are set; text is found and replaced", async () => {
  const { files } = client;
  await files.mkdir(id, "/tree/one/two");
  await files.write(id, "/tree/one/a.txt", "alpha\nbeta\n");
  await files.write(id, "/tree/one/two/b.md", "beta\n");
  expect((await files.list(id, "/tree/one")).map(({ name, isDir }) => [name, isDir])).toEqual([
    ["a.txt", false],
    ["two", true],
  ]);
  expect((await files.list(id, "/tree", { depth: 3 })).map(({ path }) => path)).toEqual([
    "/tree/one",
    "/tree/one/a.txt",
    "/tree/one/two",
    "/tree/one/two/b.md",
  ]);
  expect(await files.find(id, "/tree", "^be")).toEqual(
    expect.arrayContaining([
      { file: "/tree/one/a.txt", line: 2, content: "beta" },
      { file: "/tree/one/two/b.md", line: 1, content: "beta" },
    ]) as unknown,
  );
  expect(await files.search(id, "/tree", "*.md")).toEqual(["/tree/one/two/b.md"]);
  const change = { pattern: "beta", replacement: "gamma" };
  expect(await files.replace(id, ["/tree/one/a.txt", "/tree/one/two/b.md"], change)).toMatchObject({
    replacements: 2,
    filesModified: 2,
  });
  expect(await files.read(id, "/tree/one/a.txt")).toBe("alpha\ngamma\n");
  await files.setPermissions(id, "/tree/one/a.txt", "0600");
  expect((await sh("stat -c %a /tree/one/a.txt")).trim()).toBe("600");
  expect(await files.rename(id, "/tree/one/a.txt", "/tree/c.txt")).toMatchObject({ path: "/tree/c.txt" });
  expect(await files.exists(id, "/tree/one/a.txt")).toBe(false);
  await files.remove(id, "/tree");
  expect(await files.exists(id, "/tree")).toBe(false);
  const gone = [files.stat(id, "/tree"), files.read(id, "/tree"), files.remove(id, "/tree")];
  for (const failure of await Promise.all(gone.map(failureOf))) {
    expect(failure).toMatchObject({ name: "NotFoundError", status: 404 });
  }
});

test("a large file goes in parts, and comes back as the same bytes", async () => {
  const content = randomBytes(21_000_003);
  writeFileSync(join(folder, "large"), content);
  const told: number[] = [];
  const onProgress = ({ bytes }: { bytes: number }) => void told.push(bytes);
  await client.files.write(id, "/large", { file: join(folder, "large") }, { onProgress });
  expect(told.length).toBeGreaterThan(1);
  expect(told.at(-1)).toBe(content.length);
  expect((await sh("sha256sum < /large")).slice(0, 64)).toBe(sha256(content));
  const hash = createHash("sha256");
  const download = await client.files.readStream(id, "/large");
  expect(download.sizeBytes).toBe(content.length);
  for await (const chunk of download) hash.update(chunk);
  expect(hash.digest("hex")).toBe(sha256(content));
});

test("a stream of unknown length goes as it comes", async () => {
  async function* stream(): AsyncGenerator<Uint8Array, void> {
    for (let n = 0; n < 50; n++) {
      await Promise.resolve();
      yield Buffer.alloc(200_000, n);
    }
  }
  expect(await client.files.write(id, "/stream", stream())).toEqual({ bytes: 10_000_000 });
  expect((await sh("stat -c %s /stream")).trim()).toBe("10000000");
});

test("a write that is given up leaves the old content", async () => {
  await client.files.write(id, "/kept", "old");
  const stop = new AbortController();
  async function* endless(): AsyncGenerator<Uint8Array, void> {
    for (;;) {
      await Promise.resolve();
      yield Buffer.alloc(100_000);
    }
  }
  const write = client.files.write(id, "/kept", endless(), {
    signal: stop.signal,
    onProgress: ({ bytes }) => {
      if (bytes > 3_000_000) stop.abort(new Error("enough"));
    },
  });
  await expect(write).rejects.toThrow("enough");
  expect(await client.files.read(id, "/kept")).toBe("old");
});

test("an address is good without the key, for a while", async () => {
  const { url, token } = await client.files.uploadUrl(id, "/signed");
  expect(token.length).toBeGreaterThan(0);
  expect((await fetch(url, { method: "PUT", body: "signed" })).status).toBe(204);
  expect(await (await fetch(await client.files.downloadUrl(id, "/signed"))).text()).toBe("signed");
});

test("parts are sent one by one, from 0, and an upload is gone on with", async () => {
  const { uploads } = client.files;
  const session = await uploads.create(id, {
    kind: "file",
    sourceKind: "restartable_file",
    targetPath: "/parts",
    contentLength: 5,
    conflict: "error",
  });
  await uploads.putPart(id, session.uploadId, { partNumber: 0, content: Buffer.from("parts") });
  expect(await uploads.get(id, session.uploadId)).toMatchObject({ status: "staged", acceptedBytes: 5 });
  expect(await uploads.complete(id, session.uploadId)).toMatchObject({ publishedBytes: 5 });
  expect(await client.files.read(id, "/parts")).toBe("parts");
});

test("an archive is unpacked", async () => {
  writeFileSync(join(folder, "x.txt"), "from the archive");
  const archive = execFileSync("tar", ["-cf", "-", "-C", folder, "x.txt"]);
  expect(await client.files.unpack(id, "/unpacked", archive)).toMatchObject({ files: 1 });
  expect(await client.files.read(id, "/unpacked/x.txt")).toBe("from the archive");
  const again = client.files.unpack(id, "/unpacked", archive, { conflict: "error" });
  expect(await failureOf(again)).toMatchObject({
    name: "FileUploadError",
    details: { reason: "target_conflict" },
  });
});

test("a machine that is not there is told as such", async () => {
  expect(await failureOf(client.files.stat("mch_none", "/"))).toMatchObject({ code: "machine_not_found" });
});
