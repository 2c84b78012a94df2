/** Deps for tests: waits are recorded and do not take time; chance is fixed. */
import { setImmediate as soon } from "node:timers/promises";
import type { Deps } from "../../sdk/src/deps";

export interface PatientDeps extends Deps {
  waits: number[];
  lines: string[];
}

export function patientDeps(random = 0): PatientDeps {
  const waits: number[] = [];
  const lines: string[] = [];
  return {
    waits,
    lines,
    now: () => Date.now(),
    random: () => random,
    log: (line) => void lines.push(line),
    sleep: async (ms, signal) => {
      waits.push(ms);
      await soon();
      signal?.throwIfAborted();
    },
  };
}
