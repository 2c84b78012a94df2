/** Files over the Nullspace API, in a machine that really runs. */
import { createHash } from "node:crypto";
import { NullspaceControlPlane } from "../../../provider/src/controlplane/nullspace";
import { MachineGoneError, RefusedError } from "../../../provider/src/controlplane/port";
import { eventually } from "../../e2e/support/run";
import { keyed, never, running, settled, startEmbedded } from "./embedded";
import { HostedProxy } from "./hosted-proxy";

jest.setTimeout(60_000);
const options = { signal: never };
let local: Awaited<ReturnType<typeof startEmbedded>>;
let proxy: HostedProxy;
let plane: NullspaceControlPlane;
let id: string;

beforeAll(async () => {
  local = await startEmbedded();
  proxy = await HostedProxy.before(local.nullspace);
  plane = new NullspaceControlPlane({ backend: "nullspace", baseUrl: proxy.url, apiKey: local.apiKey });
  id = await running(plane, { vcpu: 1, memoryMiB: 256, storageGiB: 1, autoResume: false });
});
afterAll(async () => {
  await plane.close();
  await proxy[Symbol.asyncDispose]();
  await local.close();
});
afterEach(() => {
  local.faults.replace({ rules: [] });
  proxy.missing = undefined;
});

const sh = async (line: string): Promise<string> =>
  (await plane.commands.run(id, { argv: ["sh", "-c", line], timeoutMs: 20_000 }, keyed())).stdout;
const write = (path: string, text: string, mode?: number) =>
  plane.files.write(id, path, Buffer.from(text), { ...options, ...(mode === undefined ? {} : { mode }) });
const read = async (path: string): Promise<string | undefined> => {
  const bytes = await plane.files.read(id, path, options);
  return bytes && Buffer.from(bytes).toString();
};

test.each([
  "/srv/with space",
  "/srv/a'b\"c`d",
  "/srv/$(touch hacked);&|",
  "/srv/-rf",
  "/srv/%2e%2e%2Fx",
  "/srv/größe-😀",
  "/srv/new\nline",
  "/srv/q?x=1#y",
])("a file may be called %j", async (path) => {
  await write(path, path, 0o600);
  expect(await read(path)).toBe(path);
  expect(await plane.files.hash(id, path, options)).toBe(createHash("sha256").update(path).digest("hex"));
  await plane.files.remove(id, path, options);
  expect(await read(path)).toBeUndefined();
  expect(await sh("ls -A /srv; ls / | grep hacked")).toBe("");
});

test("a path that names no file is refused", async () => {
  for (const path of ["", "/srv/a\0b"]) {
    await expect(read(path)).rejects.toMatchObject({ name: RefusedError.name, code: "invalid_argument" });
  }
});

test("the hash of a large file is that of its bytes", async () => {
  await sh("head -c 60000000 /dev/zero > /srv/large");
  const zeros = createHash("sha256").update(Buffer.alloc(60_000_000)).digest("hex");
  expect(await plane.files.hash(id, "/srv/large", options)).toBe(zeros);
  await plane.files.remove(id, "/srv/large", options);
});

test("a file of more than one request arrives whole", async () => {
  const content = Buffer.alloc(9 * 1024 * 1024, "0123456789");
  await plane.files.write(id, "/srv/parts", content, { ...options, mode: 0o640 });
  expect(await plane.files.hash(id, "/srv/parts", options)).toBe(
    createHash("sha256").update(content).digest("hex"),
  );
  expect(await sh("stat -c %a /srv/parts; ls -A /srv")).toBe("640\nparts\n");
  await plane.files.remove(id, "/srv/parts", options);
});

describe("a private file", () => {
  afterEach(() => sh("rm -rf /srv/*"));

  test("has its content only once nobody else can read it", async () => {
    proxy.missing = /\/files\/permissions$/;
    await expect(write("/srv/secret", "hidden", 0o600)).rejects.toThrow(RefusedError);
    expect(await sh("ls -A /srv")).toBe("");
    proxy.missing = undefined;
    await sh("echo old > /srv/there; chmod 644 /srv/there");
    proxy.missing = /\/files\/permissions$/;
    await expect(write("/srv/there", "hidden", 0o600)).rejects.toThrow(RefusedError);
    expect(await sh("cat /srv/there; ls -A /srv")).toBe("old\nthere\n");
  });

  test("appears whole, and leaves nothing beside it", async () => {
    proxy.missing = /\/files\/rename$/;
    await expect(write("/srv/deep/secret", "hidden", 0o600)).rejects.toThrow(RefusedError);
    expect(await sh("find /srv -type f")).toBe("");
    proxy.missing = undefined;
    await write("/srv/deep/secret", "hidden", 0o400);
    expect(await sh("stat -c '%a %n' /srv/deep/*; cat /srv/deep/secret")).toBe(
      "400 /srv/deep/secret\nhidden",
    );
    await write("/srv/deep/secret", "", 0o600);
    expect(await sh("stat -c '%a %s' /srv/deep/secret")).toBe("600 0\n");
  });

  test("keeps whose it was", async () => {
    await sh("echo old > /srv/owned; chown 1234 /srv/owned; chmod 666 /srv/owned");
    const before = await sh("stat -c %u /srv/owned");
    await write("/srv/owned", "new", 0o600);
    expect(await sh("stat -c %u /srv/owned")).toBe(before);
    expect(await sh("stat -c %a /srv/owned; cat /srv/owned")).toBe("600\nnew");
  });

  test("does not change a folder in its place", async () => {
    await sh("mkdir -p /srv/folder/below; chmod 755 /srv/folder");
    await expect(write("/srv/folder", "x", 0o600)).rejects.toThrow(/folder|directory/);
    expect(await sh("stat -c %a /srv/folder; ls /srv/folder")).toBe("755\nbelow\n");
  });
});

test("the signal ends a call, also the look whether the machine is there", async () => {
  const stop = new AbortController();
  stop.abort(new Error("enough"));
  const { signal } = stop;
  for (const work of [
    () => plane.files.write(id, "/srv/x", Buffer.from("x"), { signal }),
    () => plane.files.write(id, "/srv/x", Buffer.from("x"), { signal, mode: 0o600 }),
    () => plane.files.read(id, "/srv/x", { signal }),
    () => plane.files.hash(id, "/srv/x", { signal }),
    () => plane.files.remove(id, "/srv/x", { signal }),
  ])
    await expect(work()).rejects.toThrow("enough");
  const later = new AbortController();
  proxy.silent = /\/v1\/machines\/[^/]+$/;
  const looked = expect(plane.files.hash(id, "/none", { signal: later.signal })).rejects.toThrow("later");
  const look = /^GET \/nullspace\/v1\/machines\/[^/]+$/;
  await eventually("its look", () => proxy.asked.some((each) => look.test(each)) || undefined);
  later.abort(new Error("later"));
  await looked;
  proxy.silent = undefined;
});

test("those of a machine that sleeps, or is gone, are refused for what it is", async () => {
  const other = await running(plane, { vcpu: 1, memoryMiB: 256, storageGiB: 1, autoResume: false });
  const calls = [
    () => plane.files.write(other, "/srv/x", Buffer.from("x"), options),
    () => plane.files.write(other, "/srv/x", Buffer.from("x"), { ...options, mode: 0o600 }),
    () => plane.files.read(other, "/srv/x", options),
    () => plane.files.hash(other, "/srv/x", options),
  ];
  await plane.sleepMachine(other, keyed());
  await settled(plane, other, "sleeping");
  for (const call of calls)
    await expect(call()).rejects.toMatchObject({ name: RefusedError.name, code: "INVALID_STATE" });
  await plane.deleteMachine(other, keyed());
  for (const call of calls) await expect(call()).rejects.toThrow(MachineGoneError);
  await plane.files.remove(other, "/srv/x", options);
});
