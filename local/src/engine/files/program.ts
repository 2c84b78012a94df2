/** Runs a file program in a machine and sees it to its end. */
import type { Readable } from "node:stream";
import { type Machines, Refusal } from "../control-plane";
import { type Driver, DriverError, type PipedProgram } from "../driver";
import type { FileOptions } from "./api";
import { type Attempt, refusalOf } from "./failure";
import { sendFrames } from "./frames";
import { checkAccount, quoted } from "./path";
import { fileExit } from "./shell-common";

export interface FilesHost {
  driver: Driver;
  use: Machines["use"];
}

/** What a program is run with: its text, and its arguments behind the base of relative paths. */
export interface Job extends Omit<Attempt, "user"> {
  script: string;
  args: readonly string[];
}

/** More than this of an answer is refused, so that a machine cannot fill our memory. */
const maxOutputBytes = 32 * 1_048_576;
const maxWordsBytes = 4096;
/** A program that was told to give up puts things back within this time, or is killed. */
const giveUpMs = 5000;
/** A long transfer is an activity all the time. */
const stillActiveMs = 20_000;

/**
 * A group of its own: when the control plane is killed so is the driver's group, and the program could not put things
 * back. It ends anyway, with its stdin.
 */
const onItsOwnScript = `if command -v setsid >/dev/null 2>&1; then
  (exec setsid /bin/sh -c "$@")
  exit
fi
exec /bin/sh -c "$@"`;

/** $1 account, $2 script, then its arguments. Ends with the account's own words when it cannot be had. */
const asAccountScript = `user=$1
shift
uid=$(id -u -- "$user" 2>/dev/null) && gid=$(id -g -- "$user" 2>/dev/null) || {
  echo "there is no such account in the machine" >&2
  exit ${fileExit.noAccount}
}
home=$(getent passwd -- "$uid" | cut -d: -f6)
[ -z "$home" ] || export HOME="$home"
[ "$uid" != "$(id -u)" ] || exec /bin/sh -c "$@"
setpriv --reuid "$uid" --regid "$gid" --clear-groups -- true 2>/dev/null || {
  echo "programs of this machine have no right to become another account" >&2
  exit ${fileExit.noAccount}
}
exec setpriv --reuid "$uid" --regid "$gid" --clear-groups -- /bin/sh -c "$@"
`;

export class FilePrograms {
  constructor(private readonly host: FilesHost) {}

  /** All that it prints. @throws Refusal */
  async output(machineId: string, job: Job, options: FileOptions): Promise<Buffer> {
    const running = await this.start(machineId, job, options);
    const stop = killOnAbort(running.program, options.signal);
    try {
      running.program.stdin.end();
      const output = await collect(running.program, job);
      await running.done();
      return output;
    } finally {
      stop();
    }
  }

  /** Gives it content, and answers what it prints when it has it all. @throws Refusal, or what the content failed with */
  async take(machineId: string, job: Job, content: Readable, options: FileOptions): Promise<Buffer> {
    const running = await this.start(machineId, job, options, [onItsOwnScript, "sh"]);
    const { program } = running;
    const over = new AbortController();
    const abort = (): void => {
      over.abort(options.signal.reason);
    };
    options.signal.addEventListener("abort", abort, { once: true });
    if (options.signal.aborted) abort();
    const ended = new EndedError();
    void program.exited
      .catch(() => undefined)
      .then(() => {
        over.abort(ended);
      });
    const active = this.stayActive(machineId, options.signal);
    try {
      const output = collect(program, job);
      output.catch(() => undefined);
      await sendFrames(content, program.stdin, over.signal).catch(async (error: unknown) => {
        if (error === ended) return;
        await exitedWithin(program, giveUpMs);
        throw error;
      });
      await running.done();
      return await output;
    } finally {
      clearInterval(active);
      options.signal.removeEventListener("abort", abort);
    }
  }

  /** One that goes on until its stdin ends, or the signal aborts. */
  async hold(machineId: string, job: Job, options: FileOptions): Promise<Running> {
    const running = await this.start(machineId, job, options);
    const stop = killOnAbort(running.program, options.signal);
    running.program.exited.then(stop, stop);
    return running;
  }

  /** Its output as it comes; `done` rejects with a Refusal when it failed. The reader ends it by destroying the output. */
  async stream(machineId: string, job: Job, options: FileOptions): Promise<Running> {
    const running = await this.start(machineId, job, options);
    const { program } = running;
    const stop = killOnAbort(program, options.signal);
    const active = this.stayActive(machineId, options.signal);
    program.stdin.end();
    program.stdout.once("close", () => {
      if (!program.stdout.readableEnded) program.kill();
    });
    const over = (): void => {
      stop();
      clearInterval(active);
    };
    program.exited.then(over, over);
    return running;
  }

  private async start(
    machineId: string,
    job: Job,
    { signal, user }: FileOptions,
    around: readonly string[] = [],
  ): Promise<Running> {
    const account = checkAccount(user);
    const { cwd } = await this.host.use(machineId, "file", signal);
    signal.throwIfAborted();
    const inside = [...around, job.script, "sh", cwd ?? "", ...job.args];
    const argv = account === undefined ? inside : [asAccountScript, "sh", account, ...inside];
    const program = await this.pipe(machineId, ["/bin/sh", "-c", ...argv]);
    return new Running(program, { ...job, user: account }, signal);
  }

  private async pipe(machineId: string, argv: string[]): Promise<PipedProgram> {
    try {
      return await this.host.driver.pipe(machineId, argv);
    } catch (error) {
      if (!(error instanceof DriverError)) throw error;
      if (error.reason === "not_supported") throw new Refusal("not_supported", error.message);
      if (error.reason !== "not_running")
        throw new Refusal("file_failed", error.message, { retryable: error.retryable });
      throw new Refusal("machine_not_running", `the machine does not run: ${error.message}`, {
        retryable: true,
      });
    }
  }

  private stayActive(machineId: string, signal: AbortSignal): NodeJS.Timeout {
    // Refused when it is put to sleep in the middle; the program says the same by its end.
    const again = (): void => void this.host.use(machineId, "file", signal).catch(() => undefined);
    return setInterval(again, stillActiveMs).unref();
  }
}

/** The program has ended by itself: its exit code says the rest. */
class EndedError extends Error {}

export class Running {
  private words = "";

  constructor(
    readonly program: PipedProgram,
    private readonly attempt: Attempt,
    private readonly signal: AbortSignal,
  ) {
    program.stdin.on("error", () => undefined);
    program.stderr.on("error", () => undefined);
    program.stderr.on("data", (chunk: Buffer) => {
      this.words = (this.words + chunk.toString("utf8")).slice(-maxWordsBytes);
    });
  }

  /** @throws Refusal when it ends with anything but 0; the signal's reason when that ended it. */
  async done(): Promise<void> {
    const code = await this.program.exited.catch((error: unknown) => {
      const words = error instanceof Error ? error.message : String(error);
      throw new Refusal("file_failed", `cannot ${this.attempt.verb} ${quoted(this.attempt.path)}: ${words}`, {
        retryable: true,
      });
    });
    if (code === 0) return;
    this.signal.throwIfAborted();
    throw refusalOf(code, this.attempt, this.words);
  }
}

function killOnAbort(program: PipedProgram, signal: AbortSignal): () => void {
  const kill = (): void => {
    program.kill();
  };
  signal.addEventListener("abort", kill, { once: true });
  if (signal.aborted) kill();
  return () => {
    signal.removeEventListener("abort", kill);
  };
}

async function collect(program: PipedProgram, { verb, path }: Job): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of program.stdout as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxOutputBytes) {
      program.kill();
      throw new Refusal(
        "file_refused",
        `cannot ${verb} ${quoted(path)}: the answer is larger than ${String(maxOutputBytes / 1_048_576)} MiB; ask for less`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function exitedWithin(program: PipedProgram, ms: number): Promise<void> {
  const timer = setTimeout(() => {
    program.kill();
  }, ms);
  await program.exited.catch(() => undefined);
  clearTimeout(timer);
}
