import type { MachineView } from "../../provider/src/controlplane/port";
import { noteTransition, phaseSince, spanOf, storyOf, type Transition } from "../../provider/src/history";

const look = (phase: string, reason = ""): MachineView => ({ phase, reason }) as MachineView;

test.each([
  [0, "0 ms"],
  [999, "999 ms"],
  [1_000, "1 s"],
  [3_460, "3.4 s"],
  [59_999, "59.9 s"],
  [65_000, "1m05s"],
  [3_600_000, "1h00m"],
])("%d ms is %s", (ms, text) => expect(spanOf(ms)).toBe(text));

test("tells the phases once each, with their times", () => {
  const start = Date.parse("2026-01-01T10:00:00Z");
  let history: readonly Transition[] = [];
  for (const [view, at] of [
    [look("starting"), 0],
    [look("starting"), 40],
    [look("starting", "image_pull"), 50],
    [look("failed", "image_missing"), 1_250],
  ] as const) {
    history = noteTransition(history, view, start + at);
  }
  expect(storyOf(history)).toBe(
    "starting at 10:00:00.000Z, starting (image_pull) after 50 ms, failed (image_missing) after 1.2 s",
  );
  expect(phaseSince(history.slice(0, 2))).toBe(start);
});

test("keeps the first and the latest of very many", () => {
  let history: readonly Transition[] = [];
  for (let at = 0; at < 100; at += 1) history = noteTransition(history, look("starting", String(at)), at);
  expect(history).toHaveLength(24);
  expect(history[0]?.reason).toBe("0");
  expect(history.at(-1)?.reason).toBe("99");
});
