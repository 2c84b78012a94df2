/** A command's logs over REST as the source of its output, where the connection does not say where it goes on. */
import type { Deps } from "../deps";
import { MachinesError, NotFoundError, NotImplementedError } from "../errors";
import { placeIn } from "./exec-align";
import type { CommandOutput, OutputPosition } from "./exec-output";
import type { ProcessInfo, ProcessLogs } from "./exec-rest";

export interface LogReader {
  read(signal: AbortSignal): Promise<ProcessLogs>;
  list(signal: AbortSignal): Promise<ProcessInfo[]>;
}

export const logDefaults = {
  /** Between two looks, at least; and four times as long as a look took. */
  throttleMs: 250,
  /** For the logs to tell the exit of a command that has ended. */
  lagMs: 5_000,
  /** Without any answer, when nothing but the logs is left. */
  patienceMs: 60_000,
  /** Characters handed on at a time. */
  pieceChars: 64 * 1024,
} as const;

export type Seen =
  | { kind: "running" }
  | { kind: "ended"; exitCode: number }
  /** Something else than the command ended it. */
  | { kind: "failed"; code: string; message: string };

export type Ending =
  Exclude<Seen, { kind: "running" }> | { kind: "unknown"; why: string; cause?: MachinesError | undefined };

export class ExecLogs {
  /** False once the service has said that it keeps none. */
  areKept = true;
  private nextLookAt = 0;

  constructor(
    private readonly reader: LogReader,
    private readonly stdout: OutputPosition,
    private readonly stderr: OutputPosition,
    private readonly deps: Deps,
  ) {}

  /** What the logs hold beyond our place; waits as long as the last look asks for. @throws what reading them throws */
  async *look(signal: AbortSignal): AsyncGenerator<CommandOutput[], Seen | "not kept"> {
    const { deps } = this;
    const waitMs = this.nextLookAt - deps.now();
    if (waitMs > 0) await deps.sleep(waitMs, signal);
    const before = deps.now();
    let logs: ProcessLogs;
    try {
      logs = await this.reader.read(signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!isNotKept(error)) throw error;
      this.areKept = false;
      return "not kept";
    }
    const now = deps.now();
    this.nextLookAt = now + Math.max(logDefaults.throttleMs, 4 * (now - before));
    const seen = seenIn(logs);
    const isOver = seen.kind !== "running";
    const { stdoutBytes, stdoutDropped, stderrBytes, stderrDropped } = logs;
    yield* fill(
      this.stdout,
      { text: logs.stdout, totalBytes: stdoutBytes, droppedBytes: stdoutDropped },
      isOver,
    );
    yield* fill(
      this.stderr,
      { text: logs.stderr, totalBytes: stderrBytes, droppedBytes: stderrDropped },
      isOver,
    );
    return seen;
  }

  /** The command has ended: its logs may lag behind that. */
  async *lookUntilEnded(signal: AbortSignal): AsyncGenerator<CommandOutput[], Seen | "not kept"> {
    const until = this.deps.now() + logDefaults.lagMs;
    this.nextLookAt = 0;
    for (;;) {
      const seen = yield* this.look(signal);
      if (seen === "not kept" || seen.kind !== "running") return seen;
      // They should have told by now: whether more is to come nobody can know.
      if (this.deps.now() >= until) return "not kept";
    }
  }

  /** Nothing but the logs and the list of processes is left. */
  async *followUntilEnded(pid: number, signal: AbortSignal): AsyncGenerator<CommandOutput[], Ending> {
    const { deps } = this;
    let lastAnswerAt = deps.now();
    for (let hasEndedAt: number | undefined; ;) {
      try {
        const seen = this.areKept ? yield* this.look(signal) : "not kept";
        if (seen !== "not kept" && seen.kind !== "running") return seen;
        const process = (await this.reader.list(signal)).find((each) => each.pid === pid);
        lastAnswerAt = deps.now();
        if (process === undefined)
          return { kind: "unknown", why: "the service knows no such process any more" };
        if (!process.running) {
          if (seen === "not kept") return { kind: "unknown", why: "it has ended, and its logs are not kept" };
          hasEndedAt ??= deps.now();
          if (deps.now() >= hasEndedAt + logDefaults.lagMs) {
            return { kind: "unknown", why: "it has ended, and its logs do not tell how" };
          }
        }
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof MachinesError)) throw error;
        const isLate = deps.now() >= lastAnswerAt + logDefaults.patienceMs;
        if (!error.retryable || isLate) {
          return { kind: "unknown", why: "the service cannot be asked any more", cause: error };
        }
      }
      await deps.sleep(logDefaults.throttleMs, signal);
    }
  }
}

/** Not there, not built, or larger than an answer may be. */
const isNotKept = (error: unknown): boolean =>
  error instanceof NotFoundError ||
  error instanceof NotImplementedError ||
  (error instanceof MachinesError && error.code === "answer_too_large");

function seenIn({ exitCode, raw }: ProcessLogs): Seen {
  const { error_code: code, error_message: message } = raw;
  if (exitCode === undefined) return { kind: "running" };
  if (typeof code === "string") {
    return {
      kind: "failed",
      code: code.toLowerCase(),
      message: typeof message === "string" ? message : code,
    };
  }
  if (exitCode >= 0) return { kind: "ended", exitCode };
  return { kind: "failed", code: "exit_unknown", message: "the service does not know its exit code" };
}

interface LogOfStream {
  text: string;
  totalBytes?: number | undefined;
  droppedBytes?: number | undefined;
}

function* fill(
  position: OutputPosition,
  log: LogOfStream,
  isOver: boolean,
): Generator<CommandOutput[], void> {
  const place = placeIn(log, {
    bytes: position.isVague ? undefined : position.bytes,
    chars: position.chars,
    tail: position.tail(),
  });
  const out: CommandOutput[] = [];
  if (place.missing !== 0) position.missing(place.missing, out);
  // Half a character at the end of a running command's log stands there as one that it never wrote.
  const end = isOver ? log.text.length : log.text.replace(/\ufffd{1,3}$/, "").length;
  for (let from = place.from; from < end;) {
    const to = pieceEnd(log.text, from, end);
    const piece = log.text.slice(from, to);
    position.append(piece, Buffer.byteLength(piece), out);
    from = to;
    if (out.length > 0) yield out.splice(0);
  }
  // From now on the log itself tells where we are in it.
  position.chars = Math.max(place.from, end);
  if (out.length > 0) yield out;
}

/** Never between the two halves of a character. */
function pieceEnd(text: string, from: number, end: number): number {
  const to = Math.min(from + logDefaults.pieceChars, end);
  return to < end && (text.charCodeAt(to - 1) & 0xfc00) === 0xd800 ? to - 1 : to;
}
