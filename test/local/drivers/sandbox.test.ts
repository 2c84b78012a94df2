import { spawnSync } from "node:child_process";
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { ControlPlaneProcess, isRoot, makeStateDir, nobody, removeStateDir } from "./control-plane-process";
import { cgroups, insidersOf, noTraces, processesWith, tracesOf } from "./traces";

const users = isRoot
  ? [
      { user: "root", uid: 0 },
      { user: "an ordinary user", uid: nobody },
    ]
  : [{ user: "an ordinary user", uid: process.getuid?.() ?? nobody }];

describe.each(users)("a sandbox of $user", ({ uid }) => {
  const stateDir = makeStateDir(uid);
  const before = cgroups();
  let plane: ControlPlaneProcess;

  beforeAll(async () => {
    plane = await ControlPlaneProcess.start({ name: "auto", stateDir, uid });
    await plane.call("start", "m");
  });

  afterAll(async () => {
    await plane.call("sweep", []);
    await plane.end();
    expect(tracesOf(stateDir, before)).toEqual(noTraces);
    removeStateDir(stateDir);
  });

  const enforced = async (limit: string): Promise<boolean> =>
    !(await plane.call<{ notEnforced: string[] }>("facts")).notEnforced.includes(limit);

  it("is what auto chooses here, and says what it does not limit", async () => {
    const facts = await plane.call<{ name: string; notEnforced: string[]; warnings: string[] }>("facts");
    expect(facts.name).toBe("sandbox");
    expect(facts.notEnforced).toContain("storage limit");
    expect(facts.warnings.join()).toMatch(/network/);
  });

  it("has its own host name, environment and process list", async () => {
    const seen = await plane.sh("m", "hostname; echo $HOME; pwd; ls -d /proc/[0-9]* | wc -l; env");
    expect(seen.exitCode).toBe(0);
    const [name, home, cwd, processes, ...env] = seen.stdout.trim().split("\n");
    expect([name, home, cwd]).toEqual(["dm-m", "/root", "/root"]);
    expect(name).not.toBe(hostname());
    expect(Number(processes)).toBeLessThan(10);
    expect(env.map((line) => line.split("=")[0]).sort()).toEqual(
      ["HOME", "LANG", "LOGNAME", "OLDPWD", "PATH", "PWD", "SHELL", "USER"].sort(),
    );
  });

  it("is root inside without a capability or a way to get one", async () => {
    const seen = await plane.sh(
      "m",
      "id -u; grep -E 'Cap(Prm|Eff|Bnd|Inh|Amb)|NoNewPrivs' /proc/self/status",
    );
    expect(seen.stdout.replace(/\s+/g, " ")).toBe(
      `0 ${["Inh", "Prm", "Eff", "Bnd", "Amb"].map((set) => `Cap${set}: 0000000000000000`).join(" ")} NoNewPrivs: 1 `,
    );
    const init = await plane.sh("m", "grep -E 'Cap(Eff|Bnd)' /proc/1/status");
    expect(init.stdout).not.toMatch(/[1-9a-f]\n/);
  });

  it("does not see the host's password hashes, homes or state folder", async () => {
    const seen = await plane.sh("m", `ls /etc/shadow /home/* ${stateDir}; ls /etc/ssl/private`);
    expect(seen.exitCode).not.toBe(0);
    expect(seen.stdout).toBe("");
    const accounts = await plane.sh("m", "cut -d: -f3 /etc/passwd");
    for (const id of accounts.stdout.trim().split("\n").map(Number))
      expect(id < 1000 || id === 65534).toBe(true);
  });

  it("has a read-only /usr that cannot be remounted, unmounted or written", async () => {
    const before = readdirSync("/usr");
    for (const attempt of [
      "mount -o remount,bind,rw /usr",
      "mount -o remount,rw /usr",
      "umount -l /usr",
      "touch /usr/written",
      "unshare -Ur mount -o remount,bind,rw /usr",
      "unshare -Urm sh -c 'mount -o remount,bind,rw /usr && touch /usr/written'",
    ]) {
      const seen = await plane.sh("m", attempt);
      expect({ attempt, refused: seen.exitCode !== 0 }).toEqual({ attempt, refused: true });
    }
    expect(readdirSync("/usr")).toEqual(before);
  });

  it("cannot write the settings of the host's kernel", async () => {
    const pattern = readFileSync("/proc/sys/kernel/core_pattern", "utf8");
    const seen = await plane.sh(
      "m",
      "echo '|/tmp/x' > /proc/sys/kernel/core_pattern; echo b > /proc/sysrq-trigger",
    );
    expect(seen.exitCode).not.toBe(0);
    expect(readFileSync("/proc/sys/kernel/core_pattern", "utf8")).toBe(pattern);
  });

  it("keeps /usr read-only even for a command that has every capability of its namespace", async () => {
    // What the machine could reach at worst: its own files are loaded by the program that drops the capabilities.
    const text = readFileSync(join(stateDir, "machines/m/runtime.json"), "utf8");
    const { pid } = JSON.parse(text) as { pid: number };
    const keep = uid === 0 ? [] : ["--preserve-credentials"];
    const script =
      "grep CapEff /proc/self/status; mount -o remount,bind,rw /usr; umount -l /usr; touch /usr/written";
    const seen = spawnSync(
      "nsenter",
      ["-t", String(pid), "-U", ...keep, "-m", "-p", "-u", "-i", "-C", "sh", "-c", script],
      { encoding: "utf8", ...(isRoot ? { uid, gid: uid } : {}) },
    );
    expect(seen.stdout).toMatch(/CapEff:\t0*1f+/);
    expect(seen.stderr).toMatch(/mount: \/usr: permission denied.*cannot touch '\/usr\/written'/s);
    expect(seen.status).not.toBe(0);
  });

  it("keeps what was written in the machine's own folder", async () => {
    await plane.sh("m", "echo hello > /root/note; mkdir -p /srv/www; echo x > /srv/www/index");
    const upper = join(stateDir, "machines/m/upper");
    expect(readFileSync(join(upper, "root/note"), "utf8")).toBe("hello\n");
    expect(existsSync(join(upper, "srv/www/index"))).toBe(true);
    expect(existsSync("/root/note")).toBe(false);
  });

  it("has devices, a terminal and a place for temporary files", async () => {
    const seen = await plane.sh(
      "m",
      "echo a >/dev/null && head -c4 /dev/urandom | wc -c && touch /dev/shm/a /run/b /tmp/c && script -qc tty /dev/null",
    );
    expect(seen.stdout.replace(/\r/g, "")).toBe("4\n/dev/pts/0\n");
  });

  it("lets a command write to /dev/stdout and /dev/stderr", async () => {
    const seen = await plane.sh("m", "echo out >> /dev/stdout; echo err >> /dev/stderr");
    expect([seen.stdout, seen.stderr, seen.exitCode]).toEqual(["out\n", "err\n", 0]);
  });

  it("stops all processes and keeps the disk", async () => {
    await plane.call("start", "s");
    await plane.sh("s", "echo kept > /root/kept");
    await plane.call("exec", "s", "long", ["sleep", "7001"]);
    await plane.sh("s", "setsid sleep 7002 >/dev/null 2>&1 &");
    await plane.call("stop", "s");
    expect(await plane.call("isRunning", "s")).toBe(false);
    expect([...processesWith("sleep 7001"), ...processesWith("sleep 7002")]).toEqual([]);
    expect(await plane.call("finished", "long")).toMatchObject({ exitCode: 137, signal: 9 });
    await plane.call("stop", "s");
    await plane.call("start", "s");
    expect((await plane.sh("s", "cat /root/kept")).stdout).toBe("kept\n");
    await plane.call("destroy", "s");
  });

  it("leaves nothing behind when it is destroyed, whatever is on its disk", async () => {
    const others = cgroups();
    await plane.call("start", "d");
    const { stdout } = await plane.sh("d", "readlink /proc/self/ns/pid");
    await plane.sh(
      "d",
      "mkdir -p /root/a/b && touch /root/a/b/c && chmod 000 /root/a/b && chmod 500 /root/a",
    );
    await plane.sh("d", "rm -r /var/log; ln -s / /root/everything; setsid sleep 7003 >/dev/null 2>&1 &");
    const insiders = insidersOf(stdout.trim());
    expect(insiders.length).toBeGreaterThan(1);
    await plane.call("destroy", "d");
    await plane.call("destroy", "d");
    const left = tracesOf(stateDir, others, insiders);
    expect({ ...left, processes: left.processes.filter((one) => !one.includes("machines/m ")) }).toEqual({
      ...noTraces,
      files: ["m"],
    });
    expect(existsSync("/usr/bin/env")).toBe(true);
  });

  it("ends a command that uses more memory than the machine has, and not the machine", async () => {
    if (!(await enforced("memory limit"))) {
      expect(uid).not.toBe(0);
      return;
    }
    await plane.call("resize", "m", { memoryMiB: 64 });
    const hog = await plane.sh("m", "head -c 200m /dev/zero | tail -n 1 | wc -c");
    expect(hog.stdout.trim()).toBe("0");
    expect(await plane.call("isRunning", "m")).toBe(true);
    await plane.call("resize", "m", { memoryMiB: 512 });
    const fits = await plane.sh("m", "head -c 200m /dev/zero | tail -n 1 | wc -c");
    expect(fits.stdout.trim()).toBe(String(200 * 2 ** 20));
  });

  it("gets the share of cpu and the number of processes that it may have", async () => {
    const [name] = cgroups(stateDir);
    if (!(await enforced("cpu limit"))) {
      expect(name).toBeUndefined();
      return;
    }
    await plane.call("resize", "m", { vcpu: 0.25, memoryMiB: 512 });
    const limits = cgroups(stateDir).flatMap((path) =>
      ["cpu.cfs_quota_us", "cpu.max", "pids.max"].flatMap((file) => {
        const full = join(path, "m", file);
        return existsSync(full) ? readFileSync(full, "utf8").trim().split(" ")[0] : [];
      }),
    );
    expect(limits.sort()).toEqual(["25000", "4096"]);
  });

  it("starts again from a disk that is full of traps, and touches nothing of the host", async () => {
    const bait = join(stateDir, "bait");
    mkdirSync(bait);
    if (isRoot) chownSync(bait, uid, uid);
    await plane.call("start", "t");
    await plane.sh(
      "t",
      `mv /etc /etc.old; ln -s ${bait} /etc; mv /tmp /tmp.old; ln -s ${bait} /tmp; rm /sbin`,
    );
    await plane.call("stop", "t");
    await plane.call("start", "t");
    expect((await plane.run("t", ["hostname"])).stdout).toBe("dm-t\n");
    expect(readdirSync(bait)).toEqual([]);
    expect(statSync(bait).uid).toBe(uid);
    await plane.call("destroy", "t");
    expect(existsSync(bait)).toBe(true);
  });

  it("says what the system said when a disk no longer starts, and starts no part of it", async () => {
    await plane.call("start", "b");
    await plane.sh("b", "rm /lib64 /lib");
    await plane.call("stop", "b");
    await expect(plane.call("start", "b")).rejects.toMatchObject({
      reason: "sandbox_unusable",
      retryable: false,
      message: expect.stringMatching(/umount: not found/) as string,
    });
    expect(await plane.call("isRunning", "b")).toBe(false);
    expect(processesWith("machines/b ")).toEqual([]);
    await plane.call("destroy", "b");
  });

  it("starts once when it is started many times", async () => {
    await Promise.all(Array.from({ length: 5 }, () => plane.call("start", "once")));
    expect(processesWith("machines/once ").filter((one) => one.includes("setup.sh"))).toHaveLength(1);
    await plane.call("destroy", "once");
  });

  it("tells when its processes end although nobody asked", async () => {
    await plane.call("start", "e");
    await plane.call("onExit", "e");
    const told = new Promise((resolve) => plane.once("exit", resolve));
    const { pid } = JSON.parse(readFileSync(join(stateDir, "machines/e/runtime.json"), "utf8")) as {
      pid: number;
    };
    process.kill(pid, "SIGKILL");
    expect(await told).toMatchObject({ id: "e", words: expect.stringMatching(/ended/) as string });
    expect(await plane.call("isRunning", "e")).toBe(false);
    await plane.call("start", "e");
    expect(await plane.call("isRunning", "e")).toBe(true);
    await plane.call("destroy", "e");
  });

  it("runs twenty machines at once", async () => {
    const ids = Array.from({ length: 20 }, (_, index) => `c${index}`);
    await Promise.all(ids.map((id) => plane.call("start", id)));
    const names = await Promise.all(ids.map(async (id) => (await plane.run(id, ["hostname"])).stdout));
    expect(names).toEqual(ids.map((id) => `dm-${id}\n`));
    await Promise.all(ids.map((id) => plane.call("destroy", id)));
  }, 60_000);
});
