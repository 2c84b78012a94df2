import type { Deps } from "../../../sdk/src/deps";
import { NotFoundError } from "../../../sdk/src/errors";
import { startKeepAlive } from "../../../sdk/src/nullspace/keep-alive";
import type { Lease } from "../../../sdk/src/nullspace/machine-answers";
import { sendJson } from "../loopback";
import { closeAll, failureOf, serve } from "./client-to";

afterEach(closeAll);

/** Time that passes only when the test says so. */
class HeldClock implements Pick<Deps, "sleep"> {
  waits: number[] = [];
  private wake: (() => void) | undefined;
  private asleep = Promise.withResolvers<undefined>();

  sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      this.waits.push(ms);
      signal?.addEventListener("abort", () => reject(signal.reason as Error));
      this.wake = resolve;
      this.asleep.resolve(undefined);
    });

  /** Lets one wait end, and returns when the next one begins. */
  async pass(): Promise<void> {
    await this.asleep.promise;
    this.asleep = Promise.withResolvers();
    this.wake?.();
    await this.asleep.promise;
  }
  /** Lets one wait end. */
  async end(): Promise<void> {
    await this.asleep.promise;
    this.wake?.();
  }
}

const lease = (timeoutMs: number): Lease => ({ timeoutMs, timeoutAction: "destroy" });
const gone = () => new NotFoundError({ message: "gone", code: "machine_not_found" });

test("renews at once and then every half of the window, until it is stopped", async () => {
  const clock = new HeldClock();
  let count = 0;
  const alive = await startKeepAlive(clock, { timeoutMs: 60_000 }, () => Promise.resolve(lease(++count)));
  expect(count).toBe(1);
  await clock.pass();
  await clock.pass();
  expect(alive.lease.timeoutMs).toBe(3);
  expect(alive.running).toBe(true);
  await alive.stop();
  await alive.stop();
  expect(alive.running).toBe(false);
  expect(count).toBe(3);
  expect(clock.waits).toEqual([30_000, 30_000, 30_000]);
});

test("never renews more often than every second", async () => {
  const clock = new HeldClock();
  await using _alive = await startKeepAlive(clock, { timeoutMs: 100 }, () => Promise.resolve(lease(100)));
  expect(clock.waits).toEqual([1_000]);
});

test("a first renewal that fails is thrown, and nothing runs", async () => {
  const clock = new HeldClock();
  await expect(startKeepAlive(clock, { timeoutMs: 100 }, () => Promise.reject(gone()))).rejects.toThrow(
    "gone",
  );
  expect(clock.waits).toEqual([]);
});

test("later failures are told, and renewing goes on", async () => {
  const clock = new HeldClock();
  const errors: unknown[] = [];
  const results = [lease(1), new Error("one"), new Error("two"), lease(2)];
  const alive = await startKeepAlive(clock, { timeoutMs: 10, onError: (error) => errors.push(error) }, () => {
    const result = results.shift() ?? lease(3);
    return result instanceof Error ? Promise.reject(result) : Promise.resolve(result);
  });
  for (let n = 0; n < 3; n++) await clock.pass();
  expect(errors.map(String)).toEqual(["Error: one", "Error: two"]);
  expect(alive.lease.timeoutMs).toBe(2);
  await alive.stop();
});

test("without a listener a failure that was not made good is thrown by stop, once", async () => {
  const clock = new HeldClock();
  const results = [lease(1), new Error("passing"), lease(2), new Error("lasting")];
  const alive = await startKeepAlive(clock, { timeoutMs: 10 }, () => {
    const result = results.shift() ?? new Error("later");
    return result instanceof Error ? Promise.reject(result) : Promise.resolve(result);
  });
  for (let n = 0; n < 4; n++) await clock.pass();
  await expect(alive.stop()).rejects.toThrow("lasting");
  await alive.stop();
});

test("ends by itself when the machine is gone", async () => {
  const clock = new HeldClock();
  const told = Promise.withResolvers<unknown>();
  let first = true;
  const alive = await startKeepAlive(clock, { timeoutMs: 10, onError: told.resolve }, () => {
    if (!first) return Promise.reject(gone());
    first = false;
    return Promise.resolve(lease(1));
  });
  await clock.end();
  expect(await told.promise).toBeInstanceOf(NotFoundError);
  await alive.stop();
  expect(alive.running).toBe(false);
});

test("ends with the caller's signal", async () => {
  const clock = new HeldClock();
  const stop = new AbortController();
  const alive = await startKeepAlive(clock, { timeoutMs: 10, signal: stop.signal }, () =>
    Promise.resolve(lease(1)),
  );
  stop.abort();
  await alive.stop();
  expect(alive.running).toBe(false);
  await expect(
    startKeepAlive(clock, { timeoutMs: 10, signal: stop.signal }, () => Promise.resolve(lease(1))),
  ).rejects.toThrow();
});

test("of a client posts the lease that was asked for", async () => {
  const { client, server } = await serve(
    (response) => sendJson(response, 200, { timeout_ms: 60_000, timeout_action: "hibernate" }),
    { deps: { sleep: new HeldClock().sleep } },
  );
  const alive = await client.machines.keepAlive("mch_one", { timeoutMs: 60_000, timeoutAction: "hibernate" });
  await alive.stop();
  expect(server.seen.map(({ url, body }) => [url, body])).toEqual([
    ["/v1/machines/mch_one/timeout", '{"timeout_ms":60000,"timeout_action":"hibernate"}'],
  ]);
  expect(await failureOf(client.machines.keepAlive("mch_one", { timeoutMs: -1 }))).toMatchObject({
    code: "invalid_argument",
  });
});
