import {
  backoff,
  mayRetry,
  retryAfterOf,
  retryDelay,
  shouldRetryOf,
  type Outcome,
} from "../../sdk/src/retry-timing";

const answered = (status: number, rest: object = {}): Outcome => ({ kind: "answered", status, ...rest });

describe("whether to try again", () => {
  test.each<[string, Outcome, boolean]>([
    ["nothing reached the server", { kind: "unreached" }, true],
    ["the answer was lost", { kind: "lost" }, true],
    ["trying again cannot help", { kind: "final" }, false],
    ["408", answered(408), true],
    ["429", answered(429), true],
    ["500", answered(500), true],
    ["503", answered(503), true],
    ["503 that the header forbids", answered(503, { shouldRetry: false }), false],
    ["503 that the body calls hopeless", answered(503, { bodyRetryable: false }), false],
    [
      "503 where the header overrules the body",
      answered(503, { bodyRetryable: false, shouldRetry: true }),
      true,
    ],
    [
      "503 where the header overrules the hopeful body",
      answered(503, { bodyRetryable: true, shouldRetry: false }),
      false,
    ],
    ["400", answered(400), false],
    ["400 that claims to be retryable", answered(400, { bodyRetryable: true, shouldRetry: true }), false],
    ["401", answered(401), false],
    ["404", answered(404), false],
    ["422", answered(422), false],
    ["409 in no known format", answered(409), false],
    ["409 that the body calls hopeless", answered(409, { bodyRetryable: false }), false],
    ["409 that only the header calls retryable", answered(409, { shouldRetry: true }), false],
    [
      "409 that the body calls retryable",
      answered(409, { code: "SLEEP_HOLD_WINDOW_ACTIVE", bodyRetryable: true }),
      true,
    ],
    [
      "409 that the body allows and the header forbids",
      answered(409, { bodyRetryable: true, shouldRetry: false }),
      false,
    ],
    [
      "409 REVISION_MISMATCH",
      answered(409, { code: "REVISION_MISMATCH", bodyRetryable: true, shouldRetry: true }),
      false,
    ],
  ])("%s: %#", (_name, outcome, expected) => {
    expect(mayRetry(outcome, true)).toBe(expected);
  });

  test("a change without an idempotency key is repeated only when nothing reached the server", () => {
    expect(mayRetry({ kind: "unreached" }, false)).toBe(true);
    expect(mayRetry({ kind: "lost" }, false)).toBe(false);
    expect(mayRetry(answered(503), false)).toBe(false);
  });
});

describe("when to try again", () => {
  const attempt = { number: 0, limited: 0, maxRetries: 2, repeatable: true, remainingMs: 60_000 };

  test.each([
    [0, 0, 375],
    [0, 0.999, 500],
    [1, 0, 750],
    [3, 0, 3_000],
    [4, 0, 6_000],
    [40, 0, 6_000],
    [40, 0.999, 7_998],
  ])("backs off after failure %i with chance %f for %i ms", (failures, random, expected) => {
    expect(backoff(failures, random)).toBe(expected);
  });

  test("stops when the tries are used up", () => {
    expect(retryDelay(answered(503), { ...attempt, number: 1 }, 0)).toBe(750);
    expect(retryDelay(answered(503), { ...attempt, number: 2 }, 0)).toBeUndefined();
  });

  test("obeys the service's time, never earlier, with a little jitter after it", () => {
    expect(retryDelay(answered(429, { retryAfterMs: 84 }), attempt, 0)).toBe(84);
    const late = retryDelay(answered(429, { retryAfterMs: 10_000 }), attempt, 0.999);
    expect(late).toBeGreaterThan(10_000);
    expect(late).toBeLessThan(11_000);
  });

  test("does not wait longer than a minute for a service, nor past the deadline", () => {
    expect(
      retryDelay(answered(409, { bodyRetryable: true, retryAfterMs: 250_000 }), attempt, 0),
    ).toBeUndefined();
    expect(retryDelay(answered(503), { ...attempt, remainingMs: 300 }, 0)).toBeUndefined();
  });

  const now = Date.parse("2026-05-12T00:00:00Z");
  test.each<[string, Record<string, string>, number | undefined]>([
    ["milliseconds", { "retry-after-ms": "84" }, 84],
    ["milliseconds before seconds", { "retry-after-ms": "84", "retry-after": "9" }, 84],
    ["seconds", { "retry-after": "2" }, 2_000],
    ["a date", { "retry-after": "Tue, 12 May 2026 00:00:03 GMT" }, 3_000],
    ["a date that has passed", { "retry-after": "Tue, 12 May 2020 00:00:03 GMT" }, 0],
    ["nonsense", { "retry-after": "soon", "retry-after-ms": "-5" }, undefined],
    ["nothing", {}, undefined],
  ])("reads Retry-After as %s", (_name, headers, expected) => {
    expect(retryAfterOf(headers, now)).toBe(expected);
  });

  test.each([
    ["true", true],
    ["False", false],
    ["maybe", undefined],
  ])("reads x-should-retry %s", (text, expected) => {
    expect(shouldRetryOf({ "x-should-retry": text })).toBe(expected);
  });
});
