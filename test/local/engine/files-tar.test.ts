/** Archives: what is refused of them, and what becomes of the rest in a real machine. */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { Refusal } from "../../../local/src/engine/control-plane";
import { TarVetter } from "../../../local/src/engine/files/vet-tar";
import { FilesMachine, options, refusalOf } from "./files-machine";

interface Member {
  name: string;
  type?: string;
  link?: string;
  content?: string;
  size?: number;
  mode?: number;
}

/** A header as an attacker would write it: nothing is checked. */
function member({ name, type = "0", link = "", content = "", size, mode = 0o644 }: Member): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0, 100, "utf8");
  header.write(`${mode.toString(8).padStart(7, "0")}\0`, 100);
  header.write("0000000\0" + "0000000\0", 108);
  header.write(`${(size ?? Buffer.byteLength(content)).toString(8).padStart(11, "0")}\0`, 124);
  header.write("00000000000\0", 136);
  header.write("        ", 148);
  header.write(type, 156);
  header.write(link, 157, 100, "utf8");
  header.write("ustar\0" + "00", 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  const body = Buffer.from(content);
  return Buffer.concat([header, body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
}

const end = Buffer.alloc(1024);
const archive = (...members: Member[]): Buffer => Buffer.concat([...members.map(member), end]);
const pax = (records: Record<string, string>): Member => ({
  name: "pax",
  type: "x",
  content: Object.entries(records)
    .map(([key, value]) => {
      const rest = ` ${key}=${value}\n`;
      const bytes = Buffer.byteLength(rest);
      const length = [1, 2, 3].map((digits) => bytes + digits).find((n) => String(n).length + bytes === n);
      return String(length) + rest;
    })
    .join(""),
});

function vet(bytes: Buffer, chunk = bytes.length): { files: number; bytes: number } {
  const vetter = new TarVetter();
  for (let at = 0; at < bytes.length; at += chunk) vetter.push(bytes.subarray(at, at + chunk));
  vetter.end();
  return { files: vetter.files, bytes: vetter.bytes };
}

function faultOf(bytes: Buffer): string {
  try {
    vet(bytes);
  } catch (error) {
    if (error instanceof Refusal) return error.options.details?.["archive"] ?? "";
    throw error;
  }
  return "none";
}

describe("vetting an archive", () => {
  it.each<[string, string, Member[]]>([
    ["an absolute path", "invalid_path", [{ name: "/etc/passwd" }]],
    ["a path with ..", "invalid_path", [{ name: "a/../../b" }]],
    ["a path that is ..", "invalid_path", [{ name: "..", type: "5" }]],
    ["a long path in a pax header", "invalid_path", [pax({ path: "../x" }), { name: "x" }]],
    [
      "a long path in a GNU header",
      "invalid_path",
      [{ name: "L", type: "L", content: "/x\0" }, { name: "x" }],
    ],
    ["an absolute link", "invalid_symlink", [{ name: "l", type: "2", link: "/etc" }]],
    ["a link out", "invalid_symlink", [{ name: "a/l", type: "2", link: "../../x" }]],
    [
      "a link out in a pax header",
      "invalid_symlink",
      [pax({ linkpath: "../x" }), { name: "l", type: "2", link: "x" }],
    ],
    ["a link to nothing", "invalid_symlink", [{ name: "l", type: "2" }]],
    ["a hard link", "unsupported_entry", [{ name: "h", type: "1", link: "x" }]],
    ["a device", "unsupported_entry", [{ name: "d", type: "4" }]],
    ["a pipe", "unsupported_entry", [{ name: "p", type: "6" }]],
    ["a sparse file", "unsupported_entry", [pax({ "GNU.sparse.major": "1" }), { name: "s" }]],
    ["an unknown type", "unsupported_entry", [{ name: "v", type: "V" }]],
    ["a global path", "invalid", [{ ...pax({ path: "x" }), type: "g" }, { name: "x" }]],
    ["a folder with content", "invalid", [{ name: "d/", type: "5", content: "x" }]],
    ["a broken pax header", "invalid", [{ name: "x", type: "x", content: "99 path=x\n" }, { name: "x" }]],
    ["a huge extended header", "invalid", [{ name: "x", type: "x", size: 2_000_000 }]],
  ])("refuses %s", (_, fault, members) => {
    expect(faultOf(archive(...members))).toBe(fault);
  });

  it("refuses what is no archive, ends too early, or goes on after its end", () => {
    expect(faultOf(Buffer.alloc(1024, "x"))).toBe("invalid");
    expect(faultOf(archive({ name: "a", content: "hello" }).subarray(0, 515))).toBe("invalid");
    expect(faultOf(archive({ name: "a" }).subarray(0, 100))).toBe("invalid");
    expect(faultOf(Buffer.concat([Buffer.alloc(512), member({ name: "late" }), end]))).toBe("invalid");
    expect(faultOf(Buffer.alloc(0))).toBe("none");
  });

  it("counts files and bytes the same wherever the archive is split", () => {
    const bytes = archive(
      { name: "d/", type: "5" },
      pax({ path: "d/größe" }),
      { name: "short", content: "x".repeat(700) },
      { name: "d/l", type: "2", link: "../d/größe" },
      { name: "e", content: "" },
    );
    for (const chunk of [1, 7, 511, 512, 513, bytes.length]) {
      expect(vet(bytes, chunk)).toEqual({ files: 3, bytes: 700 });
    }
  });
});

describe.each(["sandbox", "process"] as const)("unpacking in a machine of the driver %s", (driver) => {
  let machine: FilesMachine;
  const unpack = (path: string, bytes: Buffer, conflict: "error" | "merge" | "replace" = "merge") =>
    machine.files.unpack(machine.id, path, Readable.from([bytes]), { ...options, conflict });
  const tree = (path: string) => machine.sh(`cd "$HOME/${path}" && find . -printf '%p %y %m %l\\n' | sort`);

  beforeAll(async () => {
    machine = await FilesMachine.start(driver);
  });
  afterAll(async () => {
    expect(await machine.traces()).toBe("");
    await machine.end();
  });

  it("unpacks what tar packed", async () => {
    const source = mkdtempSync(join(tmpdir(), "machines-tar-"));
    chmodSync(source, 0o755);
    mkdirSync(join(source, "bin/deep"), { recursive: true });
    writeFileSync(join(source, "bin/run"), "#!/bin/sh\n", { mode: 0o755 });
    writeFileSync(join(source, "bin/deep", "n".repeat(120)), "long");
    symlinkSync("bin/run", join(source, "start"));
    for (const format of ["pax", "gnu"]) {
      const bytes = execFileSync("tar", ["-c", `--format=${format}`, "-C", source, "."], { maxBuffer: 1e8 });
      expect(await unpack(`packed/${format}`, bytes, "error")).toEqual({ files: 3, bytes: 14 });
      expect(await tree(`packed/${format}`)).toBe(
        `. d 755 \n./bin d 755 \n./bin/deep d 755 \n./bin/deep/${"n".repeat(120)} f 644 \n./bin/run f 755 \n./start l 777 bin/run\n`,
      );
    }
    rmSync(source, { recursive: true });
  });

  it("merges, replaces, or refuses what is there", async () => {
    await machine.sh(
      "mkdir -p $HOME/t/sub && echo old >$HOME/t/sub/a && echo keep >$HOME/t/sub/b && chmod 750 $HOME/t/sub",
    );
    const bytes = archive(
      { name: "sub/", type: "5", mode: 0o755 },
      { name: "sub/a", content: "new" },
      { name: "fresh/", type: "5", mode: 0o555 },
      { name: "fresh/c", content: "c" },
    );
    expect(await refusalOf(unpack("t", bytes, "error"))).toBe("file_exists");
    await unpack("t", bytes, "merge");
    expect(await tree("t")).toBe(
      ". d 755 \n./fresh d 755 \n./fresh/c f 644 \n./sub d 750 \n./sub/a f 644 \n./sub/b f 644 \n",
    );
    expect((await machine.read("t/sub/a")).toString()).toBe("new");
    await unpack("t", bytes, "replace");
    expect(await tree("t")).not.toContain("sub/b");
  });

  it("refuses a merge that would put a file for a folder, and changes nothing", async () => {
    await machine.sh("mkdir -p $HOME/c/x/y && echo 1 >$HOME/c/f");
    const before = await tree("c");
    expect(await refusalOf(unpack("c", archive({ name: "n", content: "n" }, { name: "x" })))).toBe(
      "file_exists",
    );
    expect(
      await refusalOf(unpack("c", archive({ name: "n", content: "n" }, { name: "f/", type: "5" }))),
    ).toBe("file_exists");
    expect(await tree("c")).toBe(before);
  });

  it("never writes through a link out of the folder", async () => {
    await machine.sh(
      "mkdir -p $HOME/l $HOME/outside && ln -s ../outside $HOME/l/way && echo safe >$HOME/outside/f && ln -s ../outside/f $HOME/l/file",
    );
    const through = archive({ name: "way/", type: "5" }, { name: "way/f", content: "bad" });
    expect(await refusalOf(unpack("l", through))).toBe("file_exists");
    expect(await refusalOf(unpack("l", archive({ name: "way/f", content: "bad" })))).toBe("file_exists");
    // In one archive: the link is made last, or what is behind it stays inside.
    const own = archive({ name: "in", type: "2", link: "." }, { name: "in/x", content: "x" });
    await unpack("own", own).catch(() => undefined);
    await unpack("l", archive({ name: "file", content: "new" }));
    expect(await machine.sh("cat $HOME/outside/f; ls $HOME/outside; cat $HOME/l/file")).toBe("safe\nf\nnew");
  });

  it("leaves nothing of an archive that is refused or cut short", async () => {
    const before = await machine.sh("find $HOME | sort");
    const evil = archive({ name: "fine", content: "x".repeat(3_000_000) }, { name: "../evil", content: "x" });
    await expect(unpack("never/there", evil)).rejects.toThrow('member "../evil" is refused');
    const cut = archive({ name: "fine", content: "x".repeat(3_000_000) }).subarray(0, 2_000_000);
    await expect(unpack("never/there", cut)).rejects.toThrow("cut short");
    await expect(unpack("never/there", Buffer.alloc(2048, "no tar"))).rejects.toThrow("no tar archive");
    expect(await machine.sh("find $HOME | sort")).toBe(before);
  });

  it("refuses a file in the folder's place", async () => {
    await machine.write("plain", "x");
    expect(await refusalOf(unpack("plain", archive({ name: "a" })))).toBe("file_exists");
    expect(await refusalOf(unpack("/", archive({ name: "a" }), "replace"))).toBe("file_refused");
  });
});
