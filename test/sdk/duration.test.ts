import fc from "fast-check";
import { DurationError, formatDuration, maxDurationSeconds, parseDuration } from "../../sdk/src/duration";

test.each([
  ["30s", 30],
  ["15m", 900],
  ["2h", 7_200],
  ["7d3h4s", 615_604],
  ["1w3d", 864_000],
  ["1800", 1_800],
  ["90m", 5_400],
  ["0", 0],
  ["0s", 0],
  ["never", 0],
  ["9223372036", 9_223_372_036],
])("%s is %i seconds", (text, seconds) => {
  expect(parseDuration(text)).toBe(seconds);
});

test.each([
  "",
  " ",
  "5",
  "1.5h",
  "-5s",
  "5 m",
  "3h7d",
  "1h1h",
  "1H",
  "never ",
  "10ms",
  "9223372037",
  "99999999999999999999w",
])("%j is judged by the grammar", (text) => {
  if (text === "5") expect(parseDuration(text)).toBe(5);
  else expect(() => parseDuration(text)).toThrow(DurationError);
});

test("every number of seconds survives being written and read", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: maxDurationSeconds }), (seconds) => {
      expect(parseDuration(formatDuration(seconds))).toBe(seconds);
    }),
  );
});

test.each([-1, 1.5, NaN, maxDurationSeconds + 1])("%d seconds cannot be written", (seconds) => {
  expect(() => formatDuration(seconds)).toThrow(DurationError);
});
