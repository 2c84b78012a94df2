/**
 * `machines.watch`: the status stream over dropped connections, without a lost or repeated revision, until the machine
 * has settled. The stream is the source; a GET only tells whether the stream owes us something.
 */
import { startDeadline } from "../deadline";
import { DeadlineError, MachinesError } from "../errors";
import { afterHint, backoff, retryDefaults } from "../retry-timing";
import { followStream, isPassing, type ConnectionEnd, type WatchService } from "./watch-connection";
import { WatchProgress } from "./watch-progress";
import type { Machine } from "./wire";

export interface WatchOptions {
  /** Gives the watch up; the loop then throws the signal's reason. */
  signal?: AbortSignal | undefined;
  /** The whole watch, in milliseconds; default none. Past it DeadlineError. Give this or `signal` where a wait must end. */
  timeoutMs?: number | undefined;
  /** Only what comes after this revision; default from the current one on. */
  after?: string | undefined;
}

export const watchDefaults = {
  /** Between two GETs where a service has no status stream, less or more a tenth. */
  pollMs: 2_000,
  /** Before the first new connection after progress, at most; later ones back off from 0.5 s to 8 s. */
  promptReconnectMs: 100,
} as const;

/** The watch behind `machines.watch`; see there. */
export async function* watchMachine(
  service: WatchService,
  machineId: string,
  options: WatchOptions = {},
): AsyncGenerator<Machine, void> {
  const { deps, maxRetries } = service.transport;
  const progress = new WatchProgress(options.after);
  const deadline = startDeadline({
    outer: options.signal,
    timeoutMs: options.timeoutMs ?? Infinity,
    now: () => deps.now(),
    onExpiry: () => expired(machineId, options.timeoutMs ?? Infinity, progress.last),
  });
  const { signal } = deadline;
  let failures = 0;
  let everReached = false;
  try {
    for (;;) {
      signal.throwIfAborted();
      const before = progress.count;
      const end = yield* followStream(service, machineId, progress, signal);
      if (end.kind === "noStream") {
        await service.noStream?.({ signal });
        return yield* poll(service, machineId, progress, signal);
      }
      const moved = progress.count > before;
      if (moved) failures = 0;
      const reached = end.kind !== "dropped" || end.reached;
      everReached ||= reached;
      if (!everReached && failures >= maxRetries && end.kind === "dropped") throw end.error;
      if (reached) {
        // A whole connection did not bring what the GET had shown: the service cannot resume, so this is the next view.
        const owed = moved ? undefined : progress.pending;
        if (owed && progress.accept(owed)) yield owed;
        if (progress.settled && isRealEnd(end, moved)) return;
        if (!moved || progress.settled) {
          if (await isOver(service, machineId, progress, signal)) return;
        }
      }
      const delayMs = reconnectDelay(end, failures++, deps.random());
      deps.log(`watch machine ${machineId}: ${describe(end)}; connecting again in ${String(delayMs)} ms`);
      await deps.sleep(delayMs, signal);
    }
  } finally {
    deadline.dispose();
  }
}

const isRealEnd = (end: ConnectionEnd, moved: boolean): boolean =>
  (end.kind === "ended" && end.certain) || (end.kind === "quiet" && moved);

/** One GET: true when the machine stands settled where we last saw it; else remembers what the stream owes us. */
async function isOver(
  service: WatchService,
  machineId: string,
  progress: WatchProgress,
  signal: AbortSignal,
): Promise<boolean> {
  const view = await getTolerantly(service, machineId, signal);
  if (!view) return false;
  if (progress.hasSeen(view)) {
    progress.accept(view);
    return progress.settled;
  }
  // Not delivered yet: the next connection resumes before it, and so brings what lies between.
  progress.pending = view;
  return false;
}

/** For a service without a status stream. */
async function* poll(
  service: WatchService,
  machineId: string,
  progress: WatchProgress,
  signal: AbortSignal,
): AsyncGenerator<Machine, void> {
  const { deps } = service.transport;
  deps.log(`watch machine ${machineId}: this service has no status stream; reading the machine instead`);
  for (let failures = 0; ;) {
    const view = await getTolerantly(service, machineId, signal);
    failures = view ? 0 : failures + 1;
    if (view && progress.accept(view)) yield view;
    if (view && progress.settled) return;
    const delayMs =
      failures > 0 ? backoff(failures, deps.random()) : watchDefaults.pollMs * (0.9 + 0.2 * deps.random());
    await deps.sleep(Math.round(delayMs), signal);
  }
}

/** Undefined when the machine could not be read just now. @throws what a later try cannot help, NotFoundError included */
async function getTolerantly(
  service: WatchService,
  machineId: string,
  signal: AbortSignal,
): Promise<Machine | undefined> {
  try {
    return await service.get({ signal });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof MachinesError) || !isPassing(error)) throw error;
    service.transport.deps.log(`watch machine ${machineId}: ${error.message}`);
    return undefined;
  }
}

function reconnectDelay(end: ConnectionEnd, failures: number, random: number): number {
  const hint = end.kind === "dropped" ? end.error.retryAfterMs : undefined;
  if (hint !== undefined) return afterHint(Math.min(hint, retryDefaults.longestHintMs), random);
  return failures === 0
    ? Math.round(watchDefaults.promptReconnectMs * random)
    : backoff(failures - 1, random);
}

function describe(end: ConnectionEnd): string {
  if (end.kind === "dropped") return end.error.message;
  return end.kind === "quiet" ? "nothing more came" : "the stream ended before the machine settled";
}

function expired(machineId: string, timeoutMs: number, last: Machine | undefined): MachinesError {
  const seen = last
    ? `last seen ${last.status.phase} (desired ${last.desiredState})${last.status.reason ? `: ${last.status.reason}` : ""}`
    : "never seen";
  return new DeadlineError({
    message: `watch machine ${machineId}: not settled within ${String(timeoutMs)} ms; ${seen}`,
    code: "deadline_exceeded",
    machineId,
    retryable: true,
  });
}
