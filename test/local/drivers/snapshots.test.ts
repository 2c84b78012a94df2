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
  "printf d > -dash && mkfifo fifo && truncate -s 50M sparse && printf tail >> sparse",
  "touch -d '2001-02-03 04:05:06.789' a/old && chmod 6711 a/old && mkdir -m 1777 sticky",
  "touch closed/in && chmod 000 closed/in && chmod 000 closed",
  // Of the template: a file less, a folder less, a folder in place of another, a changed mode.
  "rm /etc/protocols && rm -r /var/log && rm -r /etc/alternatives && mkdir /etc/alternatives && echo mine > /etc/alternatives/mine",
  "chmod 700 /srv && rm -r /opt && echo file > /opt",
].join(" && ");

/** Everything that can be seen of a disk: names, kinds, modes, times, sizes, links and contents. */
const look = [
  "cd / && find . -xdev \\( -type d -printf '%p %y %m %U:%G %T@\\n' -o -printf '%p %y %m %U:%G %T@ %n %s %l\\n' \\)",
  "; cd /root && cat a/plain a/b/second a/na* a/new* -- -dash /etc/alternatives/* /opt && md5sum sparse",
].join(" ");

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
      /^(find: .\.\/root\/closed.: Permission denied\n)*$/,
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
});
