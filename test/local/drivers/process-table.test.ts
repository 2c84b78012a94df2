import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  findByArguments,
  findByVariable,
  findProcess,
  isAlive,
  processTable,
  processTableByPs,
  treeOf,
} from "../../../local/src/engine/drivers/process-table";
import { waitUntil } from "../../../local/src/engine/drivers/wait-until";

const row = (pid: number, parent: number, session = 1, group = 1) => ({
  pid,
  parent,
  session,
  group,
  startTime: "",
});

it("names a process by pid and start time, and no longer when it has ended", async () => {
  const child = spawn("sleep", ["7200"], { stdio: "ignore" });
  await once(child, "spawn");
  const seen = await findProcess(child.pid ?? 0);
  if (!seen) throw new Error("not found");
  expect(seen.parent).toBe(process.pid);
  expect(await isAlive(seen)).toBe(true);
  expect(await isAlive({ ...seen, startTime: `${seen.startTime}1` })).toBe(false);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(await isAlive(seen)).toBe(false);
});

it("sees the same by ps as in /proc", async () => {
  const [proc, ps] = [await processTable(), await processTableByPs()];
  const self = ({ pid, parent, group }: { pid: number; parent: number; group: number }) => ({
    pid,
    parent,
    group,
  });
  const own = (rows: typeof proc) => rows.filter((one) => one.pid === process.pid).map(self);
  expect(own(ps)).toEqual(own(proc));
  expect(own(ps)).toHaveLength(1);
  expect(ps.find((one) => one.pid === process.pid)?.startTime).toMatch(/^\w{3} \w{3} .*\d{4}$/);
});

it("finds the tree of a process, and what stayed in its session or group", () => {
  const rows = [
    ...[row(10, 1, 10, 10), row(11, 10), row(12, 11), row(13, 1, 10), row(14, 13, 14), row(15, 1, 9, 10)],
    ...[row(20, 1, 20, 20), row(21, 20)],
  ];
  expect(treeOf(rows, 10).map((one) => one.pid)).toEqual([11, 12, 13, 14, 15]);
  expect(treeOf(rows, 99)).toEqual([]);
});

it("finds processes by whole arguments and by a variable they were given", async () => {
  const child = spawn("/bin/sh", ["-c", "read line", "a tag", "/a/folder"], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
    env: { MACHINES_TEST: "x y", PATH: process.env["PATH"] },
  });
  const exited = once(child, "exit");
  try {
    await once(child, "spawn");
    expect(findByArguments("a tag", "/a/folder")).toEqual([child.pid]);
    expect(findByArguments("a tag", "/a/fold")).toEqual([]);
    expect(findByVariable("MACHINES_TEST=x y")).toContain(child.pid);
  } finally {
    process.kill(-(child.pid ?? NaN), "SIGKILL");
    await exited;
  }
  expect(await waitUntil(() => findByVariable("MACHINES_TEST=x y").length === 0, { withinMs: 5000 })).toBe(
    true,
  );
});
