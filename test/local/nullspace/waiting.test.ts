/** What a call that waits says when its wait ends before what it waits for. */
import { EventEmitter } from "node:events";
import type { FastifyReply } from "fastify";
import { WireError } from "../../../local/src/dialects/nullspace/errors";
import { type Wait, Waiting } from "../../../local/src/dialects/nullspace/waiting";
import { Refusal } from "../../../local/src/engine/control-plane";

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

/** Only its connection is looked at. */
const replyOf = (connection: EventEmitter): FastifyReply => ({ raw: connection }) as unknown as FastifyReply;

const forever = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => {
      reject(signal.reason as Error);
    });
  });

async function outcome(promise: Promise<unknown>): Promise<WireError> {
  const error: unknown = await promise.catch((reason: unknown) => reason);
  if (error instanceof WireError) return error;
  throw new Error(`expected a refusal, not ${String(error)}`);
}

it.each([
  ["create", 110, true],
  ["lifecycle", 280, true],
  ["other", 25, true],
  ["input", 25, false],
] as const)("a wait of the kind %s is bounded at %d s", async (kind, seconds, retryable) => {
  const told = outcome(new Waiting().run(replyOf(new EventEmitter()), { kind, id: "a" }, forever));
  jest.advanceTimersByTime(seconds * 1000);
  expect(await told).toMatchObject({
    status: 409,
    code: "transition_in_progress",
    options: { retryable, details: { machine_id: "mch_a" } },
  });
});

it.each(["bound", "closing", "gone"])("work on files is given up at the end of its wait: %s", async (end) => {
  const waiting = new Waiting();
  const connection = new EventEmitter();
  const told = outcome(waiting.run(replyOf(connection), { kind: "file", id: "a" }, forever));
  if (end === "bound") jest.advanceTimersByTime(110_000);
  else if (end === "closing") waiting.close();
  else connection.emit("close");
  const { status, code, message, options } = await told;
  expect({ status, code, options }).toEqual({
    status: 503,
    code: "file_error",
    options: { retryable: true },
  });
  expect(message).toMatch(/; it was given up$/);
});

it("a command bounds itself", async () => {
  const done = new Waiting().run(
    replyOf(new EventEmitter()),
    { kind: "command" },
    async () =>
      new Promise((resolve) => {
        setTimeout(resolve, 86_400_000, "done");
      }),
  );
  jest.advanceTimersByTime(86_400_000);
  expect(await done).toBe("done");
});

it.each<[Wait["kind"], number, string, boolean]>([
  ["create", 409, "transition_in_progress", true],
  ["command", 502, "exec_failed", false],
])("the end of the control plane ends a wait of the kind %s", async (kind, status, code, retryable) => {
  const waiting = new Waiting();
  const told = outcome(waiting.run(replyOf(new EventEmitter()), { kind }, forever));
  waiting.close();
  expect(await told).toMatchObject({ status, code, options: { retryable } });
  const late = outcome(
    waiting.run(replyOf(new EventEmitter()), { kind }, async (signal) => {
      signal.throwIfAborted();
    }),
  );
  expect((await late).code).toBe(code);
});

it("a client that goes away ends its own wait and no other", async () => {
  const waiting = new Waiting();
  const [mine, theirs] = [new EventEmitter(), new EventEmitter()];
  const told = outcome(waiting.run(replyOf(mine), { kind: "create" }, forever));
  let over = false;
  const other = outcome(waiting.run(replyOf(theirs), { kind: "create" }, forever)).then(() => {
    over = true;
  });
  mine.emit("close");
  expect((await told).message).toContain("the client went away");
  expect([over, mine.listenerCount("close"), theirs.listenerCount("close")]).toEqual([false, 0, 1]);
  waiting.close();
  await other;
});

it("a key that is in use is waited for", async () => {
  let calls = 0;
  const done = new Waiting().once(replyOf(new EventEmitter()), { kind: "create" }, () =>
    ++calls < 3
      ? Promise.reject(new Refusal("idempotency_in_flight", "in flight", { retryAfterMs: 50 }))
      : Promise.resolve("made"),
  );
  await jest.advanceTimersByTimeAsync(100);
  expect([await done, calls]).toEqual(["made", 3]);
});
