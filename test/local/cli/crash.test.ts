/** kill -9 of the real command at many points of a machine's life; what a reader of the stream sees over it. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { FaultScript } from "../../../local/src/faults";
import { buildOnce, Cli } from "./cli-process";
import { call, createMachine, openStatus, reach, readStatus, type StatusEvent } from "./dcs";

beforeAll(buildOnce, 120_000);

let cli: Cli;
beforeEach(() => {
  cli = new Cli();
});
afterEach(async () => {
  await cli.cleanUp();
});

const foreverMs = 3_600_000;
type Transition = "place" | "start" | "stop" | "destroy";

function holding(on: Transition): string[] {
  const path = join(cli.home, `${on}.json`);
  const script: FaultScript = { rules: [{ on, stallMs: foreverMs, after: 0 }] };
  writeFileSync(path, JSON.stringify(script));
  return ["--faults", path];
}

const numbers = (events: StatusEvent[]) => events.map(({ id }) => Number(id));
const phases = (events: StatusEvent[]) => events.map(({ machine }) => machine.status.phase);

/** What came before the crash and what came after it are one sequence without a hole. */
function expectSeamless(before: StatusEvent[], after: StatusEvent[]): void {
  const all = [...numbers(before), ...numbers(after)];
  const first = all[0] ?? 0;
  expect(all).toEqual(all.map((_, at) => first + at));
}

test.each<{ at: string; held: Transition; stuck: string; ends: string; ask?: "sleep" | "delete" }>([
  { at: "waiting for room", held: "place", stuck: "placement_pending", ends: "running" },
  { at: "starting", held: "start", stuck: "starting", ends: "running" },
  { at: "stopping", held: "stop", stuck: "stopping", ends: "sleeping", ask: "sleep" },
  { at: "being destroyed", held: "destroy", stuck: "destroying", ends: "destroyed", ask: "delete" },
])("a machine killed while $at is $ends after the next start", async ({ held, stuck, ends, ask }) => {
  const first = await cli.start(holding(held));
  const { machine_id } = await createMachine(first.ready);
  if (ask) {
    await reach(first.ready, machine_id, "running");
    if (ask === "sleep") await call(first.ready, "POST", `/v1/machines/${machine_id}/sleep`);
    else await call(first.ready, "DELETE", `/v1/machines/${machine_id}`);
  }
  const before = await reach(first.ready, machine_id, stuck);
  // A stream that is open when it happens, and has heard nothing new.
  const open = await openStatus(first.ready, machine_id, { after: before.at(-1)?.id });
  await first.process.kill("SIGKILL");
  expect(await open.events).toEqual([]);

  const second = await cli.start();
  const after = await readStatus(second.ready, machine_id, { after: before.at(-1)?.id });
  expect(phases(after).at(-1)).toBe(ends);
  expectSeamless(before, after);
  expect(await call(second.ready, "GET", `/v1/machines/${machine_id}`)).toMatchObject({
    status: { phase: ends },
  });
});

test("what was answered is there after a kill right behind the answer, and is brought to its end", async () => {
  const first = await cli.start();
  const resting = await createMachine(first.ready);
  await reach(first.ready, resting.machine_id, "running");
  await call(first.ready, "POST", `/v1/machines/${resting.machine_id}/sleep`);
  const accepted = await createMachine(first.ready);
  await first.process.kill("SIGKILL");

  const second = await cli.start();
  expect(phases(await reach(second.ready, accepted.machine_id, "running")).at(-1)).toBe("running");
  expect(phases(await reach(second.ready, resting.machine_id, "sleeping")).at(-1)).toBe("sleeping");
});

test("a machine survives one kill after the other on its way", async () => {
  const first = await cli.start(holding("place"));
  const { machine_id } = await createMachine(first.ready);
  let seen = await reach(first.ready, machine_id, "placement_pending");
  await first.process.kill("SIGKILL");
  for (const [held, stuck] of [
    ["start", "starting"],
    ["start", "starting"],
  ] as const) {
    const next = await cli.start(holding(held));
    const more = await readStatus(next.ready, machine_id, {
      after: stuck === phases(seen).at(-1) ? undefined : seen.at(-1)?.id,
      enough: ({ machine }) => machine.status.phase === stuck,
    });
    expect(phases(more).at(-1)).toBe(stuck);
    seen = [...seen, ...more.filter(({ id }) => !seen.some((known) => known.id === id))];
    await next.process.kill("SIGKILL");
  }
  const last = await cli.start();
  const rest = await readStatus(last.ready, machine_id, { after: seen.at(-1)?.id });
  expect(phases(rest).at(-1)).toBe("running");
  expectSeamless(seen, rest);
});

test("creates whose answers a kill took are found again by their keys: none is lost, none is made twice", async () => {
  const keys = Array.from({ length: 40 }, (_, at) => `create-${String(at)}`);
  const told = new Map<string, string>();
  // Each kill comes after a few more answers, with the rest on their way.
  for (const answersBeforeKill of [1, 4, 9]) {
    const { process, ready } = await cli.start();
    let answers = 0;
    await Promise.allSettled(
      keys.map(async (key) => {
        const { machine_id } = await createMachine(ready, key);
        if (!told.has(key)) told.set(key, machine_id);
        if (++answers === answersBeforeKill) process.child.kill("SIGKILL");
      }),
    );
    await process.kill("SIGKILL");
  }
  const last = await cli.start();
  const made = await Promise.all(keys.map(async (key) => (await createMachine(last.ready, key)).machine_id));
  expect(made.map((id, at) => told.get(keys[at] ?? "") ?? id)).toEqual(made);
  const { items } = (await call(last.ready, "GET", "/v1/machines?limit=1000")) as unknown as {
    items: { machine_id: string }[];
  };
  expect(items.map(({ machine_id }) => machine_id).sort()).toEqual([...made].sort());
  for (const id of made) await reach(last.ready, id, "running");
});
