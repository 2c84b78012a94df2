/** Files over the adapter of the embedded control plane, in machines that really run. */
import * as pulumi from "@pulumi/pulumi";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "tar";
import { realClock, withDeadline, type Context } from "../../../provider/src/context";
import { DedalusControlPlane } from "../../../provider/src/controlplane/dedalus";
import { LocalControlPlane } from "../../../provider/src/controlplane/local";
import type { ControlPlane } from "../../../provider/src/controlplane/port";
import { resolveContent, type Content } from "../../../provider/src/file/content";
import { core } from "../../../provider/src/file/lifecycle";
import { unknownValue } from "../../../provider/src/hidden";
import { nothingSeen } from "../../../provider/src/journal";
import { keyed, never, running, settled, size, startEmbedded } from "../controlplane/embedded";
import { MemoryJournal } from "../seams/world";

type Properties = Record<string, unknown>;

jest.setTimeout(60_000);
let local: Awaited<ReturnType<typeof startEmbedded>>;
const planes: Partial<Record<"local" | "dedalus", ControlPlane>> = {};
let machineId: string;
let folder: string;
const lines: string[] = [];

beforeAll(async () => {
  local = await startEmbedded();
  const { url, apiKey } = local;
  planes.local = new LocalControlPlane({ url, apiKey });
  planes.dedalus = new DedalusControlPlane({ backend: "dedalus", baseUrl: `${url}/dedalus`, apiKey });
  machineId = await running(planes.local);
});
afterAll(async () => {
  await planes.local?.close();
  await planes.dedalus?.close();
  await local.close();
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "machines-file-"));
  lines.length = 0;
});
afterEach(() => rmSync(folder, { recursive: true }));

describe.each(["local", "dedalus"] as const)("files on %s", (backend) => {
  const plane = (): ControlPlane => {
    const found = planes[backend];
    if (!found) throw new Error("not started");
    return found;
  };
  function run<T>(work: (context: Context) => Promise<T>): Promise<T> {
    const context = {
      ...{ name: "note", urn: "urn::note", signal: never, controlPlane: plane(), clock: realClock },
      journal: new MemoryJournal(),
      seen: nothingSeen(),
      log: (line: string) => void lines.push(line),
      warn: (line: string) => void lines.push(`warning: ${line}`),
      newKey: () => keyed().idempotencyKey,
      random: () => 1,
    };
    return withDeadline(context, 30_000, work);
  }
  /** As the class hands it over. */
  async function inputs(path: string, content: Content, more: Properties = {}): Promise<Properties> {
    const { source, hash } = await resolveContent(content);
    const news = { machineId, path, content: source, hash, ...more };
    const checked = core.check({}, news, { backend });
    expect(checked.failures).toEqual([]);
    return checked.inputs;
  }
  const put = async (path: string, content: Content, more?: Properties): Promise<Properties> => {
    const news = await inputs(path, content, more);
    return (await run((context) => core.create(context, news))).outs;
  };
  const shell = async (line: string): Promise<string> => {
    const spec = { argv: ["/bin/sh", "-c", line], timeoutMs: 10_000 };
    return (await plane().commands.run(machineId, spec, keyed())).stdout;
  };
  const read = (state: Properties) => run((context) => core.read(context, "id", state));
  const remove = (state: Properties) => run((context) => core.remove(context, "id", state));
  const at = `/srv/${backend}`;

  test("a text is put where it belongs, with its mode, and its content is not in the outputs", async () => {
    const outs = await put(`${at}/deep/er/note.txt`, "héllo\n", { mode: "0640" });
    expect(await shell(`cat ${at}/deep/er/note.txt; stat -c %a ${at}/deep/er/note.txt`)).toBe("héllo\n640\n");
    expect(outs).toMatchObject({ size: 7 });
    expect(JSON.stringify(outs)).not.toContain("héllo");
    expect(await read(outs)).toEqual({ props: outs });
    await remove(outs);
    expect(await shell(`ls ${at}/deep/er`)).toBe("");
    await remove(outs);
  });

  test("a name that a shell would take apart is a name", async () => {
    const path = `${at}/odd/$(touch x) '; "n" \\ *`;
    const outs = await put(path, "x");
    expect(await shell(`cd ${at}/odd && cat -- "$(ls)"`)).toBe("x");
    await remove(outs);
    expect(await shell(`ls ${at}/odd`)).toBe("");
  });

  test("large content with any bytes arrives as it is", async () => {
    const file = join(folder, "large.bin");
    writeFileSync(
      file,
      Uint8Array.from({ length: 1_500_000 }, (_none, place) => (place * 31) % 256),
    );
    const outs = await put(`${at}/large.bin`, new pulumi.asset.FileAsset(file));
    expect(await shell(`sha256sum ${at}/large.bin | cut -c1-64`)).toBe(`${String(outs.hash)}\n`);
  });

  test("a change by hand is drift, and a file that is gone is gone", async () => {
    const outs = await put(`${at}/drift.txt`, "mine");
    await shell(`echo theirs > ${at}/drift.txt`);
    const drifted = await read(outs);
    expect(drifted?.props.hash).not.toBe(outs.hash);
    expect(lines.join("\n")).toMatch(/was changed outside of Pulumi/);
    const news = await inputs(`${at}/drift.txt`, "mine");
    expect(core.diff(drifted?.props ?? {}, news).changes).toBe(true);
    const again = await run((context) => core.update(context, "id", drifted?.props ?? {}, news));
    expect(await shell(`cat ${at}/drift.txt`)).toBe("mine");
    await shell(`rm ${at}/drift.txt`);
    expect(await read(again)).toBeUndefined();
  });

  test("what another resource of the deploy has put there anew is not removed with the earlier one", async () => {
    const seen = nothingSeen();
    const both = new pulumi.asset.AssetArchive({
      a: new pulumi.asset.StringAsset("1"),
      b: new pulumi.asset.StringAsset("2"),
    });
    const one = new pulumi.asset.AssetArchive({ b: new pulumi.asset.StringAsset("2") });
    const olds = [await put(`${at}/again/text`, "text"), await put(`${at}/again/folder`, both)];
    const news = [await inputs(`${at}/again/text`, "text"), await inputs(`${at}/again/folder`, one)];
    for (const item of news) await run((context) => core.create({ ...context, seen }, item));
    for (const state of olds) await run((context) => core.remove({ ...context, seen }, "earlier", state));
    expect(await shell(`cd ${at}/again; find . -type f | sort`)).toBe("./folder/b\n./text\n");
  });

  test("what nobody may write is changed all the same", async () => {
    for (const mode of ["0400", "0444"]) {
      const olds = await put(`${at}/fixed${mode}`, "one", { mode });
      const news = await inputs(`${at}/fixed${mode}`, "two", { mode });
      await run((context) => core.update(context, "id", olds, news));
      expect(await shell(`cat ${at}/fixed${mode}; stat -c " 0%a" ${at}/fixed${mode}`)).toBe(`two ${mode}\n`);
    }
  });

  test("a mode that the program has taken away goes", async () => {
    const olds = await put(`${at}/opened`, "text", { mode: "0600" });
    const outs = await run(async (context) =>
      core.update(context, "id", olds, await inputs(`${at}/opened`, "text")),
    );
    expect(await shell(`stat -c %a ${at}/opened`)).toBe("644\n");
    expect(outs.mode).toBeUndefined();
  });

  test("a folder of an archive that becomes a file", async () => {
    const text = (words: string) => new pulumi.asset.StringAsset(words);
    const olds = await put(
      `${at}/shape`,
      new pulumi.asset.AssetArchive({ "bin/a": text("1"), keep: text("2") }),
    );
    const news = await inputs(
      `${at}/shape`,
      new pulumi.asset.AssetArchive({ bin: text("3"), keep: text("2") }),
    );
    const outs = await run((context) => core.update(context, "id", olds, news));
    expect(await shell(`cat ${at}/shape/bin ${at}/shape/keep`)).toBe("32");
    expect(await read(outs)).toEqual({ props: outs });
  });

  test("a folder: its files with their modes; a change removes what is in it no more and leaves what is not its own", async () => {
    mkdirSync(join(folder, "bin"));
    writeFileSync(join(folder, "bin", "run.sh"), "#!/bin/sh\necho ran\n", { mode: 0o755 });
    writeFileSync(join(folder, "@data"), "data");
    writeFileSync(join(folder, "old file.txt"), "old");
    const outs = await put(`${at}/app`, new pulumi.asset.FileArchive(folder));
    expect(await shell(`${at}/app/bin/run.sh; cat ${at}/app/@data`)).toBe("ran\ndata");
    await shell(`echo kept > ${at}/app/own.txt`);
    expect(await read(outs)).toEqual({ props: outs });

    rmSync(join(folder, "old file.txt"));
    rmSync(join(folder, "bin"), { recursive: true });
    const news = await inputs(`${at}/app`, new pulumi.asset.FileArchive(folder));
    const updated = await run((context) => core.update(context, "id", outs, news));
    expect(await shell(`cd ${at}/app && find . -type f -o -type d | sort | tr '\\n' ' '`)).toBe(
      ". ./@data ./own.txt ",
    );
    await shell(`rm ${at}/app/@data`);
    expect(await read(updated)).toBeUndefined();
    await remove(outs);
    expect(await shell(`ls ${at}/app`)).toBe("own.txt\n");
  });

  test("a file becomes a folder and a folder a file; what is not its own stays", async () => {
    writeFileSync(join(folder, "x.txt"), "x");
    const path = `${at}/turned`;
    const change = async (olds: Properties, content: Content): Promise<Properties> => {
      const news = await inputs(path, content);
      return run((context) => core.update(context, "id", olds, news));
    };
    const text = await put(path, "text");
    const asFolder = await change(text, new pulumi.asset.FileArchive(folder));
    expect(await shell(`cat ${path}/x.txt`)).toBe("x");
    const asFile = await change(asFolder, "text again");
    expect(await shell(`cat ${path}`)).toBe("text again");
    const again = await change(asFile, new pulumi.asset.FileArchive(folder));
    await shell(`echo own > ${path}/own.txt`);
    await expect(change(again, "text")).rejects.toThrow(/folder/);
    expect(await shell(`ls ${path}`)).toBe("own.txt\n");
  });

  test("a packed archive is unpacked, with its programs", async () => {
    writeFileSync(join(folder, "run.sh"), "#!/bin/sh\necho ran\n", { mode: 0o755 });
    const file = join(folder, "made.tar.gz");
    await create({ file, cwd: folder, gzip: true }, ["run.sh"]);
    const outs = await put(`${at}/packed`, new pulumi.asset.FileArchive(file));
    expect(await shell(`${at}/packed/run.sh; ls -A ${at}/packed`)).toBe("ran\nrun.sh\n");
    expect(await read(outs)).toEqual({ props: outs });
  });

  test("a folder of so many names that one command does not take them", async () => {
    const name = (place: number): string => `${"long-".repeat(40)}${String(place)}`;
    for (let place = 0; place < 1_200; place += 1) writeFileSync(join(folder, name(place)), String(place));
    const outs = await put(`${at}/many`, new pulumi.asset.FileArchive(folder));
    expect(await read(outs)).toEqual({ props: outs });
    await shell(`echo other > ${at}/many/${name(1_199)}`);
    expect((await read(outs))?.props.hash).not.toBe(outs.hash);
    await remove(outs);
    expect(await shell(`ls ${at}`)).not.toContain("many");
  });

  test("a folder in place of the file is a warning of the refresh and no end of it", async () => {
    const outs = await put(`${at}/file`, "text");
    await shell(`rm ${at}/file; mkdir ${at}/file`);
    const news = await inputs(`${at}/file`, "text");
    expect(core.diff((await read(outs))?.props ?? {}, news).changes).toBe(true);
    expect(lines.join("\n")).toMatch(/warning: file "note": it cannot be compared: .*folder/);
  });

  test("a tool that is missing in the machine is said, and is not taken for files that are", async () => {
    if (!planes.local) throw new Error("not started");
    const id = await running(planes.local, { ...size, env: { PATH: "/root/bin:/usr/bin:/bin" } });
    writeFileSync(join(folder, "x.txt"), "x");
    const outs = await put("/root/tools", new pulumi.asset.FileArchive(folder), { machineId: id });
    const broken = Buffer.from("#!/bin/sh\necho no sha256sum here >&2; exit 127\n");
    await planes.local.files.write(id, "/root/bin/sha256sum", broken, { signal: never, mode: 0o755 });
    expect((await read(outs))?.props.hash).toBe("");
    expect(lines.at(-1)).toMatch(/cannot be compared: .*no sha256sum here/);
  });

  test("a file of a folder that cannot be removed is named, with the machine's reason", async () => {
    if (!planes.local) throw new Error("not started");
    const id = await running(planes.local, { ...size, env: { PATH: "/root/bin:/usr/bin:/bin" } });
    mkdirSync(join(folder, "held"));
    writeFileSync(join(folder, "held", "x.txt"), "x");
    const outs = await put("/root/folder", new pulumi.asset.FileArchive(folder), { machineId: id });
    const broken = Buffer.from('#!/bin/sh\necho "rm: $3: busy" >&2; exit 1\n');
    await planes.local.files.write(id, "/root/bin/rm", broken, { signal: never, mode: 0o755 });
    await expect(remove(outs)).rejects.toThrow(
      /was not removed from \/root\/folder .*: rm: .*held\/x\.txt: busy/,
    );
    const mend = { argv: ["/usr/bin/rm", "/root/bin/rm"], timeoutMs: 10_000 };
    await planes.local.commands.run(id, mend, keyed());
    await remove(outs);
    const list = { argv: ["ls", "/root"], timeoutMs: 10_000 };
    expect((await planes.local.commands.run(id, list, keyed())).stdout).toBe("bin\n");
  });

  test("a machine that has failed is no hindrance to a destroy", async () => {
    const id = await running(plane());
    const outs = await put("/root/note.txt", "one", { machineId: id });
    await plane().sleepMachine(id, keyed());
    await settled(plane(), id, "sleeping");
    const fail = { reason: "image_missing", lastError: "no such image", retryable: false };
    const faults = async (method: string, rules: object[]): Promise<void> => {
      const headers = { authorization: `Bearer ${local.apiKey}`, "content-type": "application/json" };
      const body = method === "PUT" ? { body: JSON.stringify({ rules }) } : {};
      expect((await fetch(`${local.url}/local/faults`, { method, headers, ...body })).ok).toBe(true);
    };
    await faults("PUT", [{ on: "start", machine: id, fail }]);
    await remove(outs).finally(() => faults("DELETE", []));
    expect(lines.join("\n")).toMatch(
      /warning: file "note": \/root\/note\.txt stays in machine .*, which has failed/,
    );
  });

  test("there is nothing that a get could find", async () => {
    await expect(read({})).rejects.toThrow(/File\.get finds none/);
  });

  test("a file that changes between preview and deploy is refused", async () => {
    const file = join(folder, "moving.txt");
    writeFileSync(file, "before");
    const news = await inputs(`${at}/moving.txt`, new pulumi.asset.FileAsset(file));
    writeFileSync(file, "after");
    await expect(run((context) => core.create(context, news))).rejects.toThrow(
      /changed while it was deployed/,
    );
  });

  test("a machine that sleeps is not woken to be looked at, and is woken to be written to", async () => {
    const id = await running(plane());
    const outs = await put("/root/note.txt", "one", { machineId: id });
    await plane().sleepMachine(id, keyed());
    await settled(plane(), id, "sleeping");
    expect(await read(outs)).toEqual({ props: outs });
    expect((await plane().getMachine(id, { signal: never })).phase).toBe("sleeping");
    const news = await inputs("/root/note.txt", "two", { machineId: id });
    await run((context) => core.update(context, "id", outs, news));
    expect((await plane().getMachine(id, { signal: never })).phase).toBe("running");
    await plane().deleteMachine(id, keyed());
    await settled(plane(), id, "destroyed").catch(() => undefined);
    expect(await read(outs)).toBeUndefined();
    await remove(outs);
    await expect(run((context) => core.create(context, news))).rejects.toThrow(
      /machine does not exist any more/,
    );
  });
});

describe("the check of a file", () => {
  const failures = (args: Properties) =>
    core.check(
      {},
      { machineId: "dm-1", path: "/a", content: { kind: "text", text: "x" }, ...args },
      { backend: "local" },
    ).failures;

  test.each([
    [{ path: "a" }, "path"],
    [{ path: "/a/../b" }, "path"],
    [{ mode: "9" }, "mode"],
    [{ mode: "0644", content: { kind: "archive", entries: [] } }, "mode"],
    [{ owner: "me" }, "owner"],
  ])("refuses %j", (args, property) => {
    expect(failures(args).map((failure) => failure.property)).toEqual([property]);
  });

  test("never names the content, whose value would be printed", () => {
    expect(failures({ content: 7 }).map(({ property }) => property)).toEqual(["path"]);
  });

  test("lets pass what is not known yet", () => {
    expect(failures({ machineId: unknownValue, content: unknownValue, hash: unknownValue })).toEqual([]);
  });
});
