import { randomBytes } from "node:crypto";
import {
  ControlPlaneProcess,
  isRoot,
  makeStateDir,
  nobody,
  removeStateDir,
  type Finished,
} from "./control-plane-process";
import { cgroups, noTraces, tracesOf } from "./traces";

const users = isRoot
  ? [
      { user: "root", uid: 0 },
      { user: "an ordinary user", uid: nobody },
    ]
  : [{ user: "an ordinary user", uid: process.getuid?.() ?? nobody }];

/** What a disk may hold, each so that a copy which loses it differs. */
const odd = [
  "mkdir -p /root/a/b /root/closed && cd /root",
  "echo plain > a/plain && ln a/plain a/b/second && ln -s ../plain a/b/link && ln -s /etc/none dangling",
  "printf 'x' > 'a/na me' && printf 'y' > \"$(printf 'a/new\\nline\\ttab|bar')\" && printf z > \"$(printf 'a/\\377\\376')\"",
  "printf d > -dash && mkfifo fifo && truncate -s 5M sparse && printf tail >> sparse",
  "touch -d '2001-02-03 04:05:06.789' a/old && chmod 6711 a/old && mkdir -m 1777 sticky",
  // The one way to give a file an attribute for which every host has a tool.
  "tar -c --format=posix --pax-option='SCHILY.xattr.user.color:=blue' a/plain | tar -x --xattrs --xattrs-include='*'",
  "ln -f a/plain a/b/second && touch closed/in && chmod 000 closed/in && chmod 000 closed",
  // Of the template: a file less, a folder less, a folder in place of another, a changed mode.
  "rm /etc/protocols && rm -r /var/log && rm -r /etc/alternatives && mkdir /etc/alternatives && echo mine > /etc/alternatives/mine",
  "chmod 700 /srv && rm -r /opt && echo file > /opt",
].join(" && ");

/** What may happen between two snapshots, each so that a layer which only adds would show it. */
const changes = [
  "mv a/b moved && rm a/plain && mkdir a/b && echo new > a/b/new",
  "rm -r moved && echo 'a file now' > moved && ln a/old a/b/older",
  "rm moved && mkdir moved && mv a moved/a && mkdir a && echo other > a/plain",
  // Of the same size and time as before.
  "touch -r ./-dash time && printf e > ./-dash && touch -r time ./-dash && rm time",
  "tar -c --format=posix --pax-option='SCHILY.xattr.user.color:=red' a/plain | tar -x --xattrs --xattrs-include='*'",
  "chmod 4750 sticky && echo through the other name > moved/a/b/older && ln -sfn elsewhere dangling && rm fifo && mkdir fifo",
  "echo back > /etc/protocols && rm -r /etc/alternatives /opt && mkdir /opt /var/log && chmod 755 /srv",
  "true",
  "rm -rf a moved sticky /etc/profile.d && mkdir a",
];

/** Everything that can be seen of a disk: names, kinds, modes, times, sizes, links, attributes and contents. */
const look = [
  "cd / && find . -xdev \\( -type d -printf '%p %y %m %U:%G %T@\\n' -o -printf '%p %y %m %U:%G %T@ %n %s %l\\n' \\)",
  "; find /root /etc /opt -xdev -type f -readable ! -path '/etc/host*' -print0 | sort -z | xargs -0 md5sum",
  "; tar -c --format=posix --xattrs --xattrs-include='user.*' --exclude=closed -C /root . 2>/dev/null | grep -ao 'SCHILY.xattr[^ ]*'",
].join(" ");

/** Counts in two places of a file that it maps, without an end. */
const mapped = `
import mmap, struct
file = open("/root/file", "w+b")
file.truncate(12288)
memory = mmap.mmap(file.fileno(), 0)
number = 0
open("/root/ready", "w").close()
while True:
    number += 1
    memory[0:8] = struct.pack("=Q", number)
    memory[8192:8200] = struct.pack("=Q", number)
`;

describe.each(users)("snapshots of sandboxes of $user", ({ uid }) => {
  const stateDir = makeStateDir(uid);
  const before = cgroups();
  let plane: ControlPlaneProcess;

  beforeAll(async () => {
    plane = await ControlPlaneProcess.start({ name: "sandbox", stateDir, uid });
  });

  afterEach(async () => {
    await plane.call("sweep", []);
    expect(tracesOf(stateDir, before)).toEqual(noTraces);
  });

  afterAll(async () => {
    await plane.end();
    removeStateDir(stateDir);
  });

  /** Without what names the machine itself, and the folders that are mounted at every start. */
  const lookOf = async (id: string): Promise<string[]> => {
    const exec = `x${randomBytes(6).toString("hex")}`;
    await plane.call("exec", id, exec, ["sh", "-c", look]);
    expect((await plane.call<Finished>("finished", exec)).stderr).toMatch(
      /^(find: .\.?\/root\/closed.: Permission denied\n)*$/,
    );
    const text = await plane.call<string>("output", exec);
    return text
      .split("\n")
      .filter((line) => !/^\.(\/(etc(\/host(s|name))?|dev|run|proc|usr))? /.test(line))
      .sort();
  };

  it.each(["stopped", "running"])("holds everything that is on the disk of a %s machine", async (state) => {
    await plane.call("start", "m");
    expect((await plane.sh("m", odd)).stderr).toBe("");
    const whole = await lookOf("m");
    expect(whole.length).toBeGreaterThan(20);
    if (state === "stopped") await plane.call("stop", "m");
    await plane.call("snapshot", "m", "s");
    await plane.call("start", "f", { fromSnapshotId: "s" });
    expect(await lookOf("f")).toEqual(whole);
    const closed = await plane.sh("f", "chmod 700 /root/closed && stat -c '%a %s' /root/closed/in");
    expect(closed.stdout).toBe("0 0\n");
    if (state === "stopped") await plane.call("start", "m");
    expect(await lookOf("m")).toEqual(whole);
  });

  it("holds what was changed since the snapshot before, and nothing that came later", async () => {
    await plane.call("start", "m");
    await plane.sh("m", odd);
    const first = await lookOf("m");
    await plane.call("snapshot", "m", "s");
    for (const [n, change] of changes.entries()) {
      expect((await plane.sh("m", `cd /root && ${change}`)).stderr).toBe("");
      const now = await lookOf("m");
      await plane.call("snapshot", "m", `s${n}`);
      await plane.call("start", `f${n}`, { fromSnapshotId: `s${n}` });
      expect(await lookOf(`f${n}`)).toEqual(now);
      await plane.call("destroy", `f${n}`);
    }
    // More than layers are put upon each other.
    for (const n of Array(8).keys()) {
      await plane.sh("m", `cd /root && rm -rf a/* && mkdir a/d${n} && echo ${n} > a/d${n}/number`);
      await plane.call("snapshot", "m", `t${n}`);
    }
    const last = await lookOf("m");
    await plane.call("start", "f", { fromSnapshotId: "t7" });
    expect(await lookOf("f")).toEqual(last);
    await plane.call("start", "old", { fromSnapshotId: "s" });
    expect(await lookOf("old")).toEqual(first);
  });

  it("holds what was written through memory, which leaves no time of change, as of one moment", async () => {
    await plane.call("start", "m");
    await plane.call("exec", "m", "writer", ["python3", "-c", mapped]);
    await plane.sh("m", "until [ -e /root/ready ]; do sleep 0.01; done");
    const seen: number[] = [];
    for (const id of ["s1", "s2", "s3"]) {
      await plane.call("snapshot", "m", id);
      await plane.call("start", id, { fromSnapshotId: id });
      const numbers = await plane.sh(
        id,
        "od -An -t u8 -N 8 /root/file; od -An -t u8 -N 8 -j 8192 /root/file",
      );
      const [front, back] = numbers.stdout.trim().split(/\s+/).map(Number);
      expect([0, 1]).toContain((front ?? NaN) - (back ?? NaN));
      seen.push(front ?? NaN);
    }
    expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
    await plane.call("kill", "writer");
  });
});
