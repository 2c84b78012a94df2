/** Files of a machine through the engine, in real machines of both kinds. */
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { FilesMachine, options, refusalOf } from "./files-machine";

describe.each(["sandbox", "process"] as const)("files of a machine of the driver %s", (driver) => {
  let machine: FilesMachine;
  let home: string;

  beforeAll(async () => {
    machine = await FilesMachine.start(driver);
    home = (await machine.sh('printf %s "$HOME"')).trim();
  });
  afterAll(async () => {
    expect(await machine.traces()).toBe("");
    await machine.end();
  });

  it("keeps what was written, byte for byte", async () => {
    const content = Buffer.from([...Array(256).keys()]);
    await machine.write("bytes", content);
    expect(await machine.read("bytes")).toEqual(content);
    await machine.write("empty", "");
    expect(await machine.read("empty")).toEqual(Buffer.alloc(0));
  });

  it("takes relative paths and ~ from the machine's working folder", async () => {
    await machine.write("~/a/./b/../note", "hello");
    expect((await machine.files.stat(machine.id, "a/note", options)).path).toBe(`${home}/a/note`);
    expect((await machine.files.stat(machine.id, `${home}//a/note/`, options)).size).toBe(5);
  });

  it("says of an entry what ls says", async () => {
    await machine.write("script.sh", "#!/bin/sh\n");
    await machine.files.setPermissions(machine.id, "script.sh", "750", options);
    await machine.sh("ln -sfn script.sh $HOME/link");
    const user = (await machine.sh("id -un")).trim();
    expect(await machine.files.stat(machine.id, "script.sh", options)).toEqual({
      name: "script.sh",
      path: `${home}/script.sh`,
      type: "file",
      size: 10,
      mode: "0750",
      permissions: "rwxr-x---",
      owner: user,
      group: (await machine.sh("id -gn")).trim(),
      modifiedAt: expect.stringMatching(/^20\d\d-.*Z$/) as string,
      symlinkTarget: null,
    });
    const link = await machine.files.stat(machine.id, "link", options);
    expect([link.type, link.symlinkTarget]).toEqual(["symlink", "script.sh"]);
    expect((await machine.files.stat(machine.id, "/", options)).name).toBe("/");
    expect((await machine.files.stat(machine.id, "/dev/null", options)).type).toBe("other");
  });

  it("lists a folder sorted, to the depth that is asked for", async () => {
    await machine.sh("mkdir -p $HOME/tree/b/c && touch $HOME/tree/z $HOME/tree/b/y $HOME/tree/b/c/x");
    const names = async (depth?: number) =>
      (await machine.files.list(machine.id, "tree", { ...options, ...(depth ? { depth } : {}) })).map(
        ({ path }) => path.slice(home.length + 6),
      );
    expect(await names()).toEqual(["b", "z"]);
    expect(await names(2)).toEqual(["b", "b/c", "b/y", "z"]);
    expect(await names(9)).toEqual(["b", "b/c", "b/c/x", "b/y", "z"]);
    expect(await refusalOf(machine.files.list(machine.id, "tree/z", options))).toBe("file_refused");
    expect(await refusalOf(machine.files.list(machine.id, "tree", { ...options, depth: 0 }))).toBe(
      "invalid_argument",
    );
  });

  it("knows what is there and what is not", async () => {
    await machine.write("here", "x");
    await machine.sh("ln -sfn nowhere $HOME/dangling");
    const exists = (path: string) => machine.files.exists(machine.id, path, options);
    expect(await exists("here")).toBe(true);
    expect(await exists("dangling")).toBe(true);
    expect(await exists("gone")).toBe(false);
    expect(await exists("gone/further")).toBe(false);
    expect(await refusalOf(machine.read("gone"))).toBe("file_not_found");
    expect(await refusalOf(machine.read("dangling"))).toBe("file_not_found");
    expect(await refusalOf(machine.read("here/further"))).toBe("file_refused");
    expect(await refusalOf(machine.read("."))).toBe("file_refused");
    expect(await refusalOf(machine.read("/dev/zero"))).toBe("file_refused");
  });

  it("replaces a file at once, keeps its mode, and writes through a link", async () => {
    await machine.sh(
      "mkdir -p $HOME/w && echo old >$HOME/w/real && chmod 755 $HOME/w/real && ln -sfn w/real $HOME/through",
    );
    await machine.write("through", "new");
    expect(await machine.sh("cat $HOME/w/real; stat -c %a $HOME/w/real; readlink $HOME/through")).toBe(
      "new755\nw/real\n",
    );
    await machine.write("w/fresh", "x");
    expect(await machine.sh("stat -c %a $HOME/w/fresh")).toBe("644\n");
    await machine.sh("ln -sfn loop $HOME/loop");
    expect(await refusalOf(machine.write("loop", "x"))).toBe("file_refused");
    expect(await refusalOf(machine.write("w", "x"))).toBe("file_refused");
    expect(await refusalOf(machine.write("w/real/below", "x"))).toBe("file_refused");
    expect(await refusalOf(machine.write("/dev/null", "x"))).toBe("file_refused");
  });

  it("refuses to write over a file that must not exist", async () => {
    const write = (path: string) =>
      machine.files.write(machine.id, path, Readable.from(["mine"]), { ...options, exclusive: true });
    await write("only/once");
    expect(await refusalOf(write("only/once"))).toBe("file_exists");
    const racing = await Promise.allSettled(Array.from({ length: 4 }, () => write("only/race")));
    expect(racing.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  it("lets the last of several writers win, whole", async () => {
    const contents = ["a", "b", "c", "d"].map((letter) => Buffer.alloc(3_000_000, letter));
    await Promise.all(contents.map((content) => machine.write("contested", content)));
    const got = await machine.read("contested");
    expect(contents.some((content) => content.equals(got))).toBe(true);
  });

  it("moves 200 MB both ways with little memory", async () => {
    const chunk = Buffer.alloc(65_536);
    const chunks = 3200;
    const sent = createHash("sha256");
    function* content() {
      for (let n = 0; n < chunks; n++) {
        chunk.writeUInt32LE(n);
        sent.update(chunk);
        yield Buffer.from(chunk);
      }
    }
    const before = process.memoryUsage.rss();
    let highest = before;
    const watcher = setInterval(() => (highest = Math.max(highest, process.memoryUsage.rss())), 10);
    await machine.files.write(machine.id, "large", Readable.from(content()), options);
    const received = createHash("sha256");
    const { size, content: back } = await machine.files.read(machine.id, "large", options);
    for await (const part of back as AsyncIterable<Buffer>) received.update(part);
    clearInterval(watcher);
    expect(size).toBe(chunks * chunk.length);
    expect(received.digest("hex")).toBe(sent.digest("hex"));
    expect(highest - before).toBeLessThan(100 * 1_048_576);
    await machine.files.remove(machine.id, "large", options);
  }, 60_000);

  it("leaves nothing of an upload that ends in the middle, and the old content in its place", async () => {
    await machine.write("kept", "old");
    const before = await machine.sh("find $HOME | sort");
    async function* failing() {
      yield Buffer.alloc(3_000_000);
      throw new Error("the sender went away");
    }
    const attempt = (path: string) =>
      machine.files.write(machine.id, path, Readable.from(failing()), options);
    await expect(attempt("kept")).rejects.toThrow("the sender went away");
    await expect(attempt("new/folders/file")).rejects.toThrow("the sender went away");
    const abort = new AbortController();
    async function* endless() {
      yield Buffer.alloc(3_000_000);
      abort.abort(new Error("no more"));
      await new Promise(() => undefined);
    }
    const aborted = machine.files.write(machine.id, "new/again", Readable.from(endless()), {
      signal: abort.signal,
    });
    await expect(aborted).rejects.toThrow("no more");
    expect(await machine.sh("find $HOME | sort")).toBe(before);
    expect((await machine.read("kept")).toString()).toBe("old");
  });

  it("leaves no program of a download that ends in the middle", async () => {
    await machine.write("long", Buffer.alloc(8_000_000));
    const { content } = await machine.files.read(machine.id, "long", options);
    content.destroy();
    const abort = new AbortController();
    const second = await machine.files.read(machine.id, "long", { signal: abort.signal });
    abort.abort(new Error("no more"));
    await expect(buffer(second.content)).rejects.toThrow();
    await expect(
      machine.files.read(machine.id, "long", { signal: AbortSignal.abort(new Error("never")) }),
    ).rejects.toThrow("never");
    expect(await machine.traces()).toBe("");
  });

  it("reads files that claim no size", async () => {
    expect((await machine.read("/proc/self/status")).toString()).toMatch(/^Name:/);
  });

  it("removes folders with everything in them, never the root", async () => {
    await machine.sh(
      "mkdir -p $HOME/doomed/in/side && touch $HOME/doomed/in/side/f && chmod 555 $HOME/doomed/in/side",
    );
    await machine.files.remove(machine.id, "doomed", options);
    expect(await machine.files.exists(machine.id, "doomed", options)).toBe(false);
    expect(await refusalOf(machine.files.remove(machine.id, "doomed", options))).toBe("file_not_found");
    for (const root of ["/", "//", "/tmp/..", "/."]) {
      expect(await refusalOf(machine.files.remove(machine.id, root, options))).toBe("file_refused");
    }
    await machine.sh(
      "mkdir -p $HOME/kept-target && touch $HOME/kept-target/f && ln -sfn kept-target $HOME/to-target",
    );
    await machine.files.remove(machine.id, "to-target/", options);
    expect(await machine.sh("ls $HOME/kept-target")).toBe("f\n");
  });

  it("renames as rename(2) does", async () => {
    await machine.sh("cd $HOME && mkdir -p r/full r/empty r/from && touch r/full/f r/file r/from/x");
    const rename = (from: string, to: string) => machine.files.rename(machine.id, from, to, options);
    expect((await rename("r/file", "r/other")).path).toBe(`${home}/r/other`);
    expect(await refusalOf(rename("r/file", "r/x"))).toBe("file_not_found");
    expect(await refusalOf(rename("r/other", "r/full"))).toBe("file_exists");
    expect(await refusalOf(rename("r/from", "r/full"))).toBe("file_exists");
    expect(await refusalOf(rename("r/from", "r/other"))).toBe("file_exists");
    expect(await refusalOf(rename("r/from", "r/from/x/deep"))).toBe("file_refused");
    expect(await refusalOf(rename("r/other", "nowhere/other"))).toBe("file_not_found");
    await rename("r/from", "r/empty");
    await rename("r/empty", "r/empty");
    expect(await machine.sh("cd $HOME/r && find . | sort")).toBe(
      "./empty\n./empty/x\n./full\n./full/f\n./other\n".replace(/^/, ".\n"),
    );
  });

  it("makes folders, also where they are", async () => {
    await machine.files.makeFolder(machine.id, "m/a/k", options);
    await machine.files.makeFolder(machine.id, "m/a/k", options);
    await machine.write("m/file", "");
    expect(await refusalOf(machine.files.makeFolder(machine.id, "m/file", options))).toBe("file_exists");
    expect(await refusalOf(machine.files.makeFolder(machine.id, "m/file/below", options))).toBe(
      "file_refused",
    );
  });

  it("changes permissions given in octal", async () => {
    await machine.write("perms", "");
    await machine.files.setPermissions(machine.id, "perms", "0600", options);
    expect((await machine.files.stat(machine.id, "perms", options)).mode).toBe("0600");
    for (const wrong of ["u+x", "8", "99999", "", "-R"]) {
      expect(await refusalOf(machine.files.setPermissions(machine.id, "perms", wrong, options))).toBe(
        "invalid_argument",
      );
    }
  });

  it("finds lines by a regular expression and names by a glob", async () => {
    await machine.write("g/one.txt", "first\nneedle 12\nlast: a:b\n");
    await machine.write("g/two\nlines.txt", "needle 3");
    await machine.write("g/binary", Buffer.from("needle\0"));
    await machine.write("g/süß.md", "größe");
    const find = (pattern: string) => machine.files.find(machine.id, "g", pattern, options);
    expect(await find("^needle [0-9]+")).toEqual([
      { file: `${home}/g/one.txt`, line: 2, content: "needle 12" },
      { file: `${home}/g/two\nlines.txt`, line: 1, content: "needle 3" },
    ]);
    expect(await find("a:b$")).toEqual([{ file: `${home}/g/one.txt`, line: 3, content: "last: a:b" }]);
    expect(await find("^gr..e$")).toHaveLength(1);
    expect(await find("nothing")).toEqual([]);
    expect(await refusalOf(find("("))).toBe("invalid_argument");
    expect(await refusalOf(find(""))).toBe("invalid_argument");
    expect(await find("-e")).toEqual([]);
    const search = (pattern: string) => machine.files.search(machine.id, "g", pattern, options);
    expect(await search("*.txt")).toEqual([`${home}/g/one.txt`, `${home}/g/two\nlines.txt`]);
    expect(await search("s??.md")).toEqual([`${home}/g/süß.md`]);
    expect(await search("-delete")).toEqual([]);
    expect(await refusalOf(search("*/x"))).toBe("invalid_argument");
  });

  it("replaces plain text and says how often", async () => {
    await machine.write("s/a", "x.x.x");
    await machine.write("s/b", "nothing");
    await machine.write("s/c", Buffer.from("x.x\0"));
    await machine.sh("chmod 700 $HOME/s/a");
    const done = await machine.files.replace(
      machine.id,
      ["s/a", "s/b", "s/c", "s/missing", "s"],
      "x.",
      "$&\n",
      options,
    );
    expect(done).toEqual({ replacements: 2, filesModified: 1, filesSkipped: 3, binaryFilesSkipped: 1 });
    expect((await machine.read("s/a")).toString()).toBe("$&\n$&\nx");
    expect((await machine.files.stat(machine.id, "s/a", options)).mode).toBe("0700");
  });

  it("refuses accounts that the machine does not have", async () => {
    const as = (user: string) => machine.files.list(machine.id, "/", { ...options, user });
    expect((await as("root")).length).toBeGreaterThan(3);
    for (const user of ["nobody-knows", "-x", "a b", "../x"])
      expect(await refusalOf(as(user))).toBe("file_refused");
  });
});
