/** Snapshots over their life, with both drivers that have disks: on their own, of what runs, and what machines use. */
import { setTimeout as pause } from "node:timers/promises";
import { ControlPlaneProcess, makeStateDir, removeStateDir } from "./control-plane-process";
import { ordinary, places, SnapshotPlane } from "./snapshot-places";

describe.each(places)("snapshots of the $name driver of $user", (place) => {
  const plane = new SnapshotPlane(place);
  const sh = (id: string, script: string): Promise<string> => plane.sh(id, script);

  it.each(["running", "stopped"])("one of a %s machine is on its own", async (state) => {
    await plane.call("start", "m");
    await sh("m", "mkdir deep && echo old > deep/file && echo kept > kept");
    if (state === "stopped") await plane.call("stop", "m");
    expect(await plane.call("snapshot", "m", "s")).toEqual({ sizeBytes: expect.any(Number) as number });
    expect(await plane.call("snapshot", "m", "s")).toEqual({ sizeBytes: expect.any(Number) as number });
    await plane.call("start", "m");
    await sh("m", "echo new > deep/file && rm kept && touch later");
    await plane.call("start", "one", { fromSnapshotId: "s" });
    expect(await sh("one", "ls && cat deep/file kept")).toBe("deep\nkept\nold\nkept\n");
    await sh("one", "echo one > deep/file && rm -r kept");
    await plane.call("start", "two", { fromSnapshotId: "s" });
    expect(await sh("two", "cat deep/file kept")).toBe("old\nkept\n");
    expect(await sh("m", "ls && cat deep/file")).toBe("deep\nlater\nnew\n");
    await plane.call("destroy", "m");
    await plane.call("forgetSnapshot", "s");
    await plane.call("stop", "two");
    await plane.call("start", "two", { fromSnapshotId: "s" });
    expect(await sh("two", "cat deep/file kept")).toBe("old\nkept\n");
    expect(await sh("one", "ls && cat deep/file")).toBe("deep\none\n");
    expect(await plane.reasonOf(plane.call("start", "late", { fromSnapshotId: "s" }))).toBe("no_snapshot");
    expect(await plane.reasonOf(plane.call("snapshot", "none", "t"))).toBe("no_disk");
  });

  it("a fork of a fork has what its line has made, renamed and removed", async () => {
    await plane.call("start", "a");
    await sh("a", "mkdir x y && echo 1 > x/one && echo 2 > x/two && echo 3 > y/three && ln -s x/one link");
    await plane.call("snapshot", "a", "s1");
    await plane.call("start", "b", { fromSnapshotId: "s1" });
    // In place of a folder another one with the same name: nothing of the old one may shine through.
    await sh("b", "rm x/one && mv y z && rm -r x && mkdir x && echo 4 > x/four && chmod 700 x");
    await plane.call("snapshot", "b", "s2");
    await sh("b", "mv x/four x/five && echo 6 >> z/three");
    await plane.call("snapshot", "b", "s3");
    await plane.call("start", "c", { fromSnapshotId: "s2" });
    await plane.call("start", "d", { fromSnapshotId: "s3" });
    expect(await sh("c", "find . -name '.?*' -prune -o -print | sort && cat z/three && stat -c %a x")).toBe(
      ".\n./link\n./x\n./x/four\n./z\n./z/three\n3\n700\n",
    );
    expect(await sh("d", "find . -name '.?*' -prune -o -print | sort && cat z/three && readlink link")).toBe(
      ".\n./link\n./x\n./x/five\n./z\n./z/three\n3\n6\nx/one\n",
    );
    expect(await sh("a", "cat x/one x/two y/three")).toBe("1\n2\n3\n");
  });

  /** Writes one number to two files, one after the other, without an end. */
  const writer = "i=0; while :; do i=$((i+1)); echo $i > first; echo $i > second; done";
  const numbers = async (id: string): Promise<[number, number]> => {
    const [first, second] = (await sh(id, "cat first second")).trim().split("\n").map(Number);
    return [first ?? NaN, second ?? NaN];
  };

  it("one of a machine that writes is of one moment, and the machine goes on", async () => {
    await plane.call("start", "m");
    await sh("m", "echo 0 > first; echo 0 > second; head -c 20000000 /dev/zero > large");
    await plane.call("exec", "m", "writer", ["sh", "-c", `cd ~ && ${writer}`]);
    for (const id of ["s1", "s2", "s3"]) {
      await plane.call("snapshot", "m", id);
      await plane.call("start", id, { fromSnapshotId: id });
      const [first, second] = await numbers(id);
      // Empty is what a shell leaves for a moment between opening a file and writing to it.
      const written = [first, second].filter((number) => number !== 0 && !Number.isNaN(number));
      for (const number of written) expect(Math.abs(number - Math.max(...written))).toBeLessThanOrEqual(1);
      expect((await sh(id, "wc -c < large")).trim()).toBe("20000000");
    }
    // Also what waits for a command goes on: its end is seen.
    await plane.call("exec", "m", "waits", [
      "sh",
      "-c",
      "cd ~ && until [ -e over ]; do sleep 0.01; done; exit 3",
    ]);
    await plane.call("snapshot", "m", "s4");
    await sh("m", "touch over");
    expect(await plane.call("finished", "waits")).toMatchObject({ exitCode: 3 });
    await sh("m", 'before=$(cat second); while [ "$(cat second)" = "$before" ]; do :; done');
    await plane.call("kill", "writer");
  });

  it("what it uses is measured: processor, memory and disk", async () => {
    expect(await plane.reasonOf(plane.call("usage", "m"))).toBe("not_running");
    await plane.call("start", "m");
    await sh("m", "head -c 30000000 /dev/urandom > large");
    await plane.call("exec", "m", "busy", ["sh", "-c", "while :; do :; done"]);
    const seen = await plane.call<{ memoryUsedBytes: number; diskUsedBytes: number }>("usage", "m");
    expect(seen.memoryUsedBytes).toBeGreaterThan(100_000);
    expect(seen.diskUsedBytes).toBeGreaterThan(29_000_000);
    expect(seen.diskUsedBytes).toBeLessThan(45_000_000);
    await pause(300);
    const { cpuPercent } = await plane.call<{ cpuPercent: number }>("usage", "m");
    expect(cpuPercent).toBeGreaterThan(20);
    expect(cpuPercent).toBeLessThanOrEqual(100);
    const { cpuPercent: ofMore } = await plane.call<{ cpuPercent: number }>("usage", "m", 64);
    expect(ofMore).toBeLessThanOrEqual(100 / 32);
    await plane.call("kill", "busy");
  });
});

test("plain processes do not start where egress is denied: they share the host's network", async () => {
  const stateDir = makeStateDir(ordinary.uid);
  const plane = await ControlPlaneProcess.start({ name: "process", stateDir, uid: ordinary.uid });
  try {
    await expect(plane.call("start", "m", { network: "none" })).rejects.toMatchObject({
      reason: "egress_not_enforced",
    });
  } finally {
    await plane.end();
    removeStateDir(stateDir);
  }
});
