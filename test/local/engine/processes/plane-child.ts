/** A control plane in a process of its own, to be killed with -9 while commands run. */
import { createInterface } from "node:readline";
import { unlimitedCapacity } from "../../../../local/src/engine/capacity";
import { createDriver, type DriverChoice } from "../../../../local/src/engine/drivers/select";
import { openControlPlane } from "../../../../local/src/engine/engine";
import type { NewMachine, StoredAnswer } from "../../../../local/src/engine/control-plane";
import type { NewProcess } from "../../../../local/src/engine/processes/api";

const [name, stateDir = ""] = process.argv.slice(2);
const say = (message: object): void => void process.stdout.write(`${JSON.stringify(message)}\n`);
const render = (record: { id: string }): StoredAnswer => ({ status: 200, headers: {}, body: record.id });
const never = new AbortController().signal;

async function main(): Promise<void> {
  const driver = await createDriver({ name: name as DriverChoice, stateDir, log: () => undefined });
  const control = await openControlPlane({ stateDir, driver, capacity: unlimitedCapacity });
  const { machines, processes } = control;
  const once = (key: string) => ({ scope: "child", key, requestHash: "h" });
  const calls: Record<string, (...args: never[]) => Promise<unknown>> = {
    machine: async (spec: NewMachine) => {
      const { body } = await machines.create(spec, once("machine"), render);
      await machines.settled(body, "running", never);
      return body;
    },
    destroy: async (id: string) => {
      await machines.desire(id, "destroyed", once("destroy"), undefined, render);
      await machines.settled(id, "destroyed", never);
    },
    start: async (id: string, spec: NewProcess) => (await processes.start(id, spec, never)).pid,
    send: (id: string, pid: number, data: string) => processes.writeStdin(id, pid, Buffer.from(data), never),
    closeStdin: (id: string, pid: number) => processes.closeStdin(id, pid),
    resize: (id: string, pid: number, cols: number, rows: number) =>
      processes.resize(id, pid, { cols, rows }),
    kill: (id: string, pid: number) => processes.kill(id, pid),
    ended: (id: string, pid: number) => processes.ended(id, pid, never),
    logs: (id: string, pid: number) => processes.logs(id, pid),
    list: (id: string) => processes.list(id),
    // Each event as it comes, so that what was read is known when we are killed.
    follow: async (id: string, pid: number, from: { stdout: number; stderr: number }) => {
      const { events } = await processes.follow(id, pid, { from, signal: never });
      for await (const event of events) {
        say(
          event.type === "output" ? { event: { ...event, data: event.data.toString("base64") } } : { event },
        );
      }
    },
  };
  say({ ready: true });
  for await (const line of createInterface({ input: process.stdin })) {
    const { n, method, args } = JSON.parse(line) as { n: number; method: string; args: never[] };
    const answer = Promise.resolve().then(() => calls[method]?.(...args));
    answer.then(
      (value) => say({ n, value: value ?? null }),
      (error: Error & { code?: string }) => say({ n, error: { message: error.message, code: error.code } }),
    );
  }
  await control.close();
}

void main();
