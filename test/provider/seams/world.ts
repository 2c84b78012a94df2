/** One provider process, or several after one another, over one control plane in memory. */
import type { Context } from "../../../provider/src/context";
import { withDeadline } from "../../../provider/src/context";
import {
  nothingSeen,
  type CreateJournal,
  type JournalEntry,
  type SeenState,
} from "../../../provider/src/journal";
import { InitFailure } from "../../../provider/src/init-failure";
import { create, read, remove, update } from "../../../provider/src/machine/lifecycle";
import { removeInterrupted } from "../../../provider/src/machine/interrupted";
import { sighted } from "../../../provider/src/machine/sighting";
import { checkMachine } from "../../../provider/src/machine/check";
import { FakeClock } from "./fake-clock";
import { MemoryPlane } from "./memory-plane";

export class MemoryJournal implements CreateJournal {
  entries = new Map<string, JournalEntry>();
  async find(key: string): Promise<JournalEntry | undefined> {
    return this.entries.get(key);
  }
  async write(entry: JournalEntry): Promise<void> {
    this.entries.set(entry.key, { ...this.entries.get(entry.key), ...entry });
  }
  async interrupted(stackIdentity: string): Promise<JournalEntry[]> {
    return [...this.entries.values()].filter(
      (entry) => entry.stackIdentity === stackIdentity && !(entry.answered || entry.recorded || entry.gone),
    );
  }
}

type Properties = Record<string, unknown>;

export const urn = "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/machines:Machine::worker";

export class World {
  readonly clock = new FakeClock();
  readonly plane = new MemoryPlane(this.clock);
  journal = new MemoryJournal();
  seen: SeenState = nothingSeen();
  lines: string[] = [];
  warnings: string[] = [];
  private keys = 0;

  /** What the program asks for, as the engine hands it to the provider. */
  inputs(args: Properties = {}, more: Properties = {}): Properties {
    const hidden = { __provider: "loader", __urn: urn, __stackIdentity: "stack-1", ...more };
    const { inputs, failures } = checkMachine(
      {},
      { ...args, ...hidden },
      { backend: this.plane.capabilities.snapshots ? "local" : "dedalus" },
    );
    if (failures.length > 0) throw new Error(JSON.stringify(failures));
    return inputs;
  }

  /** A new provider process: all that was in memory is gone. */
  restart(): void {
    this.seen = nothingSeen();
  }

  create(inputs: Properties): Promise<{ id: string; outs: Properties }> {
    return this.run(600_000, (context) => create(context, inputs));
  }

  update(id: string, olds: Properties, news: Properties): Promise<Properties> {
    return this.run(600_000, (context) => update(context, id, olds, news));
  }

  read(id: string, state: Properties): ReturnType<typeof read> {
    return this.run(60_000, (context) => read(context, id, state));
  }

  remove(id: string, state: Properties): Promise<void> {
    return this.run(300_000, (context) => remove(context, id, state));
  }

  removeInterrupted(): Promise<void> {
    return this.run(300_000, (context) => removeInterrupted(context, "stack-1"));
  }

  sighted(id: string, state: Properties): Promise<void> {
    return sighted(this, id, state);
  }

  run<T>(allowedMs: number, work: (context: Context) => Promise<T>): Promise<T> {
    const base = {
      name: "worker",
      urn,
      signal: new AbortController().signal,
      log: (line: string) => void this.lines.push(line),
      warn: (line: string) => void this.warnings.push(line),
      controlPlane: this.plane,
      journal: this.journal,
      seen: this.seen,
      clock: this.clock,
      newKey: () => `key-${String((this.keys += 1))}`,
      random: () => 1,
    };
    return this.clock.until(withDeadline(base, allowedMs, work));
  }
}

/** The failure that the engine would record and print. */
export async function initFailure(work: Promise<unknown>): Promise<InitFailure> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof InitFailure) return error;
  throw new Error(`expected an InitFailure, got ${String(error)}`);
}
