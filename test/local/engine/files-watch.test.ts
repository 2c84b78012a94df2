/** Changes of files, told as they happen, from the folders of real machines. */
import { setTimeout as sleep } from "node:timers/promises";
import type { FileChange } from "../../../local/src/engine/files/api";
import { FilesMachine, options, refusalOf } from "./files-machine";

/** Reads changes until one that is waited for, which is part of what comes back. */
class Reader {
  private readonly iterator: AsyncIterator<FileChange>;

  constructor(changes: AsyncIterable<FileChange>) {
    this.iterator = changes[Symbol.asyncIterator]();
  }

  async until(event: FileChange["event"], name: string): Promise<string[]> {
    const seen: string[] = [];
    for (;;) {
      const next = await this.iterator.next();
      if (next.done) throw new Error(`it ended after ${seen.join(", ")}`);
      seen.push(`${next.value.event} ${next.value.name}`);
      if (next.value.event === event && next.value.name === name) return seen;
    }
  }

  async next(): Promise<IteratorResult<FileChange>> {
    return this.iterator.next();
  }
}

describe.each(["sandbox", "process"] as const)("watching files of a machine of the driver %s", (driver) => {
  let machine: FilesMachine;
  let abort: AbortController;

  const watch = async (path: string, recursive = false): Promise<Reader> =>
    new Reader(await machine.files.watch(machine.id, path, { signal: abort.signal, recursive }));

  beforeAll(async () => {
    machine = await FilesMachine.start(driver);
  });
  beforeEach(() => {
    abort = new AbortController();
  });
  afterEach(() => {
    abort.abort();
  });
  afterAll(async () => {
    expect(await machine.traces()).toBe("");
    await machine.end();
  });

  it("tells what is made, written, renamed, changed in mode and removed", async () => {
    await machine.sh("mkdir -p $HOME/w1 && echo old >$HOME/w1/known");
    const home = (await machine.sh("printf %s $HOME")).trim();
    const reader = await watch("w1");
    await machine.sh("echo x >$HOME/w1/new");
    expect(await reader.until("write", "new")).toEqual(["create new", "write new"]);
    await machine.sh("echo more >>$HOME/w1/known");
    expect(await reader.until("write", "known")).toEqual(["write known"]);
    await machine.sh("mv $HOME/w1/known $HOME/w1/other");
    expect(await reader.until("create", "other")).toEqual(["rename known", "create other"]);
    await machine.sh("chmod 700 $HOME/w1/other");
    expect(await reader.until("chmod", "other")).toEqual(["chmod other"]);
    await machine.sh("rm $HOME/w1/other");
    expect((await reader.next()).value).toEqual({ event: "remove", name: "other", path: `${home}/w1/other` });
  });

  it("shows a file that is uploaded when it is complete, and no draft", async () => {
    await machine.files.makeFolder(machine.id, "w2", options);
    const reader = await watch("w2");
    await machine.write("w2/up", "content");
    expect(await reader.until("write", "up")).toEqual(["create up", "write up"]);
    await machine.write("w2/up", "again");
    expect(await reader.until("write", "up")).toEqual(["write up"]);
  });

  it("looks below only when it is asked to, also into folders that come later", async () => {
    await machine.sh("mkdir -p $HOME/w3/a/b");
    const flat = await watch("w3");
    const deep = await watch("w3", true);
    await machine.sh("cd $HOME/w3 && echo x >a/b/f && mkdir -p c/d && echo y >c/d/g && touch end");
    const seen = await deep.until("create", "end");
    for (const name of ["c/d/g", "a/b/f"]) {
      while (!seen.includes(`write ${name}`)) seen.push(...(await deep.until("write", name)));
    }
    expect(seen).toEqual(
      expect.arrayContaining(["create a/b/f", "write a/b/f", "create c", "create c/d", "create c/d/g"]),
    );
    await machine.sh("echo z >$HOME/w3/c/d/g2");
    expect(await deep.until("write", "c/d/g2")).toEqual(["create c/d/g2", "write c/d/g2"]);
    await machine.sh("rm -r $HOME/w3/c");
    expect(await deep.until("remove", "c")).not.toContain("create");
    expect((await flat.until("create", "end")).filter((change) => change.includes("/"))).toEqual([]);
  });

  it("follows a folder that moves, without telling all that is in it", async () => {
    await machine.sh("mkdir -p $HOME/w4/from/in && touch $HOME/w4/from/in/f");
    const reader = await watch("w4", true);
    await machine.sh("mv $HOME/w4/from $HOME/w4/to");
    expect(await reader.until("create", "to")).toEqual(["rename from", "create to"]);
    await machine.sh("touch $HOME/w4/to/in/later");
    expect(await reader.until("create", "to/in/later")).toEqual(["create to/in/later"]);
  });

  it("never follows a link out of the folder", async () => {
    await machine.sh(
      "mkdir -p $HOME/w5 $HOME/elsewhere && ln -s $HOME/elsewhere $HOME/w5/out && ln -s /etc $HOME/w5/etc",
    );
    const reader = await watch("w5", true);
    await machine.sh("touch $HOME/elsewhere/unseen && touch $HOME/w5/seen");
    expect(await reader.until("create", "seen")).toEqual(["create seen"]);
  });

  it("tells names of every kind", async () => {
    await machine.sh("mkdir -p $HOME/w6");
    const reader = await watch("w6", true);
    const names = ["-rf", "a b", "new\nline", "süß", "..."];
    await machine.sh('cd $HOME/w6 && for n do mkdir -- "$n" && touch -- "$n/f"; done && touch end', ...names);
    const seen = new Set<string>();
    while (!names.every((name) => seen.has(`create ${name}/f`))) {
      const { value } = (await reader.next()) as IteratorYieldResult<FileChange>;
      seen.add(`${value.event} ${value.name}`);
    }
    for (const name of names) expect(seen).toContain(`create ${name}`);
  });

  it("gives a reader that is slow the newest state, not everything that was", async () => {
    await machine.sh("mkdir -p $HOME/w7");
    const reader = await watch("w7");
    await machine.sh("cd $HOME/w7 && for n in $(seq 300); do echo $n >f; done; mv f g; touch end");
    const seen = await reader.until("create", "end");
    expect(seen.length).toBeLessThan(20);
    expect(seen).toContain("create g");
  });

  it("still tells what is there after more changes than are kept for a reader that does not read", async () => {
    await machine.sh("mkdir -p $HOME/w11 && touch $HOME/w11/old");
    const reader = await watch("w11");
    await machine.sh("cd $HOME/w11 && seq -f 'n%g' 3000 | xargs touch && rm n* old && touch end");
    const seen = await reader.until("create", "end");
    expect([...new Set(seen)].sort()).toEqual(["create end", "remove old"]);
  });

  it("ends with its signal, leaving no program", async () => {
    await machine.sh("mkdir -p $HOME/w8");
    const reader = await watch("w8");
    const last = reader.next();
    abort.abort();
    expect((await last).done).toBe(true);
    const holders = () => machine.sh("grep -l 'while read -r [_]; do :' /proc/[0-9]*/cmdline 2>/dev/null");
    while ((await holders()) !== "") await sleep(5);
  });

  it("ends when the folder is removed", async () => {
    await machine.sh("mkdir -p $HOME/w9");
    const reader = await watch("w9");
    await machine.sh("ln -s w9 $HOME/w9-link");
    const linked = await watch("w9-link");
    await machine.sh("rmdir $HOME/w9");
    for (const each of [reader, linked]) {
      expect((await each.next()).value).toMatchObject({ event: "remove", name: "." });
      expect((await each.next()).done).toBe(true);
    }
  });

  it("refuses what is no folder", async () => {
    await machine.write("w10", "x");
    const attempt = (path: string) =>
      refusalOf(machine.files.watch(machine.id, path, { signal: abort.signal, recursive: false }));
    expect(await attempt("w10")).toBe("file_refused");
    expect(await attempt("nowhere")).toBe("file_not_found");
  });
});

it("ends with the machine", async () => {
  const machine = await FilesMachine.start("sandbox");
  const changes = await machine.files.watch(machine.id, "/tmp", { ...options, recursive: true });
  const last = changes[Symbol.asyncIterator]().next();
  await machine.plane.machines.state(machine.id, "sleeping");
  expect((await last).done).toBe(true);
  await machine.end();
});
