/** Deps whose clock moves only when somebody waits: hours pass in no time, and what was waited for can be read. */
import { setImmediate as soon } from "node:timers/promises";
import type { PatientDeps } from "../patient";

export function virtualDeps(random = 0): PatientDeps {
  const waits: number[] = [];
  const lines: string[] = [];
  let nowMs = Date.parse("2026-03-01T00:00:00Z");
  return {
    waits,
    lines,
    now: () => nowMs,
    random: () => random,
    log: (line) => void lines.push(line),
    sleep: async (ms, signal) => {
      waits.push(ms);
      nowMs += ms;
      await soon();
      signal?.throwIfAborted();
    },
  };
}
