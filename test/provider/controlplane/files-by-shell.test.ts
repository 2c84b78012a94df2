/** Files over commands alone: hostile names, any bytes, whole or not at all. */
import { createHash, randomBytes } from "node:crypto";
import { DedalusControlPlane } from "../../../provider/src/controlplane/dedalus";
import { FilesByShell } from "../../../provider/src/controlplane/files-by-shell";
import { keyed, never, running, startEmbedded } from "./embedded";

let local: Awaited<ReturnType<typeof startEmbedded>>;
let plane: DedalusControlPlane;
let id: string;
beforeAll(async () => {
  local = await startEmbedded();
  plane = new DedalusControlPlane({ backend: "local", baseUrl: local.dedalus, apiKey: local.apiKey });
  id = await running(plane);
}, 60_000);
afterAll(async () => {
  await plane.close();
  await local.close();
});

const options = { signal: never };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const sh = async (script: string, ...words: string[]): Promise<string> => {
  const argv = ["sh", "-c", script, "sh", ...words];
  const { stdout, stderr } = await plane.commands.run(id, { argv, timeoutMs: 20_000 }, keyed());
  return stdout + stderr;
};

test.each([
  ["a plain name", "/root/plain.txt"],
  ["spaces and quotes", `/root/it's "a" file.txt`],
  ["what a shell would run", "/root/$(touch /root/pwned); `reboot` && rm -rf $HOME | x"],
  ["a line break", "/root/two\nlines\n"],
  ["a name like an option", "/root/-rf"],
  ["folders that are not there", "/root/deep/er/and -n/file"],
  ["no Latin letters", "/root/файл-文件-🙂"],
  ["a back slash", "/root/back\\slash"],
])("%s is written, read, hashed and removed", async (_, path) => {
  const content = bytes(`content of ${path}`);
  await plane.files.write(id, path, content, options);
  expect(await plane.files.read(id, path, options)).toEqual(Buffer.from(content));
  const hash = createHash("sha256").update(content).digest("hex");
  expect(await plane.files.hash(id, path, options)).toBe(hash);
  await plane.files.remove(id, path, options);
  expect(await plane.files.read(id, path, options)).toBeUndefined();
  expect(await plane.files.hash(id, path, options)).toBeUndefined();
  await plane.files.remove(id, path, options);
  expect(await sh("ls -d /root/pwned 2>&1 || :")).toMatch(/No such file/i);
});

test("a path without a folder before it may begin with a hyphen", async () => {
  await plane.files.write(id, "-n", bytes("x"), options);
  expect(await plane.files.hash(id, "-n", options)).toHaveLength(64);
  await plane.files.remove(id, "-n", options);
  expect(await plane.files.hash(id, "-n", options)).toBeUndefined();
});

test("large files and all bytes arrive whole, in several commands", async () => {
  const content = randomBytes(2 * 1024 * 1024 + 12_345);
  await plane.files.write(id, "/root/large", content, options);
  expect(await plane.files.hash(id, "/root/large", options)).toBe(
    createHash("sha256").update(content).digest("hex"),
  );
  const back = await plane.files.read(id, "/root/large", options);
  expect(back && Buffer.compare(Buffer.from(back), content)).toBe(0);
});

test("an empty file is a file", async () => {
  await plane.files.write(id, "/root/empty", new Uint8Array(), options);
  expect(await plane.files.read(id, "/root/empty", options)).toHaveLength(0);
});

test("a mode is set, and the file that was there is replaced at once", async () => {
  await plane.files.write(id, "/root/tool", bytes("old"), options);
  await plane.files.write(id, "/root/tool", bytes("#!/bin/sh\necho ran"), { ...options, mode: 0o750 });
  expect(await sh("stat -c %a /root/tool; /root/tool")).toBe("750\nran\n");
  expect(await sh("ls -A /root | grep part || echo none")).toBe("none\n");
});

test("a folder of this name is not written over, and is removed with all in it", async () => {
  await sh("mkdir -p /root/folder && ln -s folder /root/link && echo x > /root/folder/inside");
  for (const path of ["/root/folder", "/root/link"]) {
    await expect(plane.files.write(id, path, bytes("x"), options)).rejects.toMatchObject({
      name: "RefusedError",
      code: "file_failed",
      message: expect.stringMatching(/could not write .*: there is a folder of this name/) as unknown,
    });
  }
  await expect(plane.files.read(id, "/root/folder", options)).rejects.toThrow(/a folder of this name/);
  expect(await sh("ls -A /root/folder")).toBe("inside\n");
  await plane.files.remove(id, "/root/folder", options);
  expect(await sh("ls -d /root/folder 2>/dev/null || echo gone")).toBe("gone\n");
});

test("a failure has the tools' own words, and leaves nothing behind", async () => {
  await plane.files.write(id, "/root/plain", bytes("a file"), options);
  const write = plane.files.write(id, "/root/plain/below", bytes("x"), options);
  await expect(write).rejects.toMatchObject({ code: "file_failed", retryable: false });
  expect(await sh("ls -A /root | grep part || echo none")).toBe("none\n");
});

test("what changes on its way is refused, and the old file stays", async () => {
  await plane.files.write(id, "/root/guarded", bytes("old"), options);
  let chunks = 0;
  const meddling = new FilesByShell({
    run: async (machine, spec, more) => {
      const outcome = await plane.commands.run(machine, spec, more);
      if (spec.stdin && ++chunks === 1) await sh("echo more | tee -a /root/guarded.*.part");
      return outcome;
    },
  });
  const write = meddling.write(id, "/root/guarded", randomBytes(500_000), options);
  await expect(write).rejects.toThrow(/is not what was sent/);
  expect(await sh("cat /root/guarded; ls -A /root | grep part || echo none")).toBe("oldnone\n");
});

test("a machine that is gone: reading says so, removing is done", async () => {
  await expect(plane.files.read("dm-none", "/x", options)).rejects.toMatchObject({
    name: "MachineGoneError",
  });
  await plane.files.remove("dm-none", "/x", options);
});
