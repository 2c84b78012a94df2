/** A control plane with one machine that runs, over real processes, for the tests of commands. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unlimitedCapacity } from "../../../../local/src/engine/capacity";
import type { ControlPlane, NewMachine, StoredAnswer } from "../../../../local/src/engine/control-plane";
import { createDriver, type DriverChoice } from "../../../../local/src/engine/drivers/select";
import { openControlPlane } from "../../../../local/src/engine/engine";
import type { NewProcess, ProcessEvent, ProcessRecord } from "../../../../local/src/engine/processes/api";
import type { MachineRecord } from "../../../../local/src/engine/record";

const render = (record: { id: string }): StoredAnswer => ({
  status: 200,
  headers: {},
  body: JSON.stringify(record),
});
let keys = 0;
const request = () => ({ scope: "test", key: `key-${String(++keys)}`, requestHash: "h" });

/** Every wait of a test ends with it. */
export const soon = (): AbortSignal => AbortSignal.timeout(20_000);

export class Plane {
  machineId = "";
  readonly reports: string[] = [];

  private constructor(
    readonly stateDir: string,
    private readonly driver: DriverChoice,
    public control: ControlPlane,
  ) {}

  static async open(driver: DriverChoice, machine: Partial<NewMachine> = {}): Promise<Plane> {
    const stateDir = mkdtempSync(join(tmpdir(), "machines-processes-"));
    const plane: Plane = new Plane(stateDir, driver, await openAt(stateDir, driver));
    plane.machineId = await plane.createMachine(machine);
    return plane;
  }

  get processes() {
    return this.control.processes;
  }

  async createMachine(machine: Partial<NewMachine> = {}): Promise<string> {
    const size = { vcpu: 1, memoryMiB: 512, storageGiB: 1 };
    const answer = await this.control.machines.create(
      { size, autosleepSeconds: 0, ...machine },
      request(),
      render,
    );
    const { id } = JSON.parse(answer.body) as MachineRecord;
    await this.until(id, "running");
    return id;
  }

  async until(id: string, phase: MachineRecord["phase"]): Promise<void> {
    let end: () => void = () => undefined;
    await new Promise<void>((resolve, reject) => {
      this.control.machines
        .follow(id, undefined, (record) => {
          if (record.phase === phase) resolve();
        })
        .then((stop) => (end = stop), reject);
    });
    end();
  }

  /** Desires a state and waits for it. */
  async bring(state: "running" | "sleeping" | "destroyed", id = this.machineId): Promise<void> {
    await this.control.machines.desire(id, state, request(), undefined, render);
    await this.until(id, state);
  }

  start(command: string | string[], more: Partial<NewProcess> = {}): Promise<ProcessRecord> {
    const argv = typeof command === "string" ? ["sh", "-c", command] : command;
    return this.processes.start(this.machineId, { command: argv, ...more }, soon());
  }

  ended(pid: number): Promise<ProcessRecord> {
    return this.processes.ended(this.machineId, pid, soon());
  }

  async run(command: string | string[], more: Partial<NewProcess> = {}) {
    const { pid } = await this.start(command, more);
    await this.ended(pid);
    return this.processes.logs(this.machineId, pid);
  }

  async *follow(
    pid: number,
    from: { stdout: number; stderr: number } | "live" = { stdout: 0, stderr: 0 },
    signal = soon(),
  ): AsyncGenerator<ProcessEvent> {
    yield* (await this.processes.follow(this.machineId, pid, { from, signal })).events;
  }

  send(pid: number, data: string | Uint8Array, signal = soon()): Promise<void> {
    return this.processes.writeStdin(this.machineId, pid, Buffer.from(data), signal);
  }

  /** Waits until this stands in what the command has written to stdout. */
  async untilWritten(pid: number, text: string): Promise<void> {
    let seen = "";
    for await (const event of this.follow(pid)) {
      if (event.type === "output" && event.stream === "stdout") seen += event.data.toString("latin1");
      if (seen.includes(Buffer.from(text).toString("latin1"))) return;
    }
    throw new Error(`the command ended after ${JSON.stringify(seen)}`);
  }

  /** The same state folder under a new control plane, as after a restart. */
  async reopen(): Promise<void> {
    await this.control.close();
    this.control = await openAt(this.stateDir, this.driver);
  }

  async end(): Promise<void> {
    await this.bring("destroyed");
    await this.control.close();
    rmSync(this.stateDir, { recursive: true, force: true });
  }
}

async function openAt(stateDir: string, name: DriverChoice): Promise<ControlPlane> {
  const driver = await createDriver({ name, stateDir, log: () => undefined });
  return openControlPlane({ stateDir, driver, capacity: unlimitedCapacity });
}

/** The bytes of one stream, with its gaps as texts. */
export const bytesOf = (events: readonly ProcessEvent[], stream: "stdout" | "stderr"): Buffer =>
  Buffer.concat(
    events.map((event) => {
      if (event.type === "exit" || event.stream !== stream) return Buffer.alloc(0);
      return event.type === "gap" ? Buffer.from(`<${String(event.bytes)} lost>`) : event.data;
    }),
  );

export async function all(events: AsyncIterable<ProcessEvent>): Promise<ProcessEvent[]> {
  const seen: ProcessEvent[] = [];
  for await (const event of events) seen.push(event);
  return seen;
}
