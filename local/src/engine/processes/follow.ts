/** Reads what a command writes straight from its files, as fast as the reader asks and no faster. */
import { open } from "node:fs/promises";
import type { Driver } from "../driver";
import type { ExecutionRun } from "../execution-run";
import type { Executions } from "../executions";
import { wholeCharacters } from "../output";
import type { FollowProcess, OutputStream, ProcessEvent, ProcessOutput, ProcessRecord } from "./api";
import { type Hold, outputStreams, pathOf, type Position } from "./recorder";
import { StreamReader } from "./stream-reader";

/** How long all output is kept for a reader that was cut, or has not come yet, in milliseconds. */
export const lingerMs = 10_000;
/** The longest UTF-8 character is of 4 bytes. */
const characterBytes = 4;

export interface FollowHost {
  executions: Executions;
  driver: Driver;
  /** The process as it is now. */
  get: () => Promise<ProcessRecord>;
}

/** Where the bytes come from: a command that runs, or what is left of one that ended. */
interface Source {
  run: ExecutionRun | undefined;
  path: (stream: OutputStream) => string | undefined;
  kept: (stream: OutputStream) => number;
}

export async function followOutput(
  host: FollowHost,
  process: ProcessRecord,
  { from = "live", signal, overwrites = false }: FollowProcess,
): Promise<ProcessOutput> {
  const run = host.executions.runOf(process.machineId, process.pid);
  const start = from === "live" ? await liveEnd(run, process) : { ...from };
  const reader = new Reader(host, process, start, signal, overwrites);
  if (run) reader.hold(run);
  return { from: { ...start }, events: reader.events() };
}

class Reader {
  private held: Hold | undefined;
  private readonly letGo = (): void => this.held?.release(lingerMs);

  constructor(
    private readonly host: FollowHost,
    private readonly process: ProcessRecord,
    /** The next byte of each stream that the reader has not seen. */
    private readonly at: Position,
    private readonly signal: AbortSignal,
    private readonly overwrites: boolean,
  ) {}

  hold(run: ExecutionRun): void {
    if (this.held) return;
    this.held = run.recorder.hold(this.at);
    // Also for whoever never begins to read.
    if (this.signal.aborted) this.letGo();
    else this.signal.addEventListener("abort", this.letGo, { once: true });
  }

  async *events(): AsyncGenerator<ProcessEvent, void> {
    let linger = lingerMs;
    const readers = new Map<OutputStream, StreamReader>();
    try {
      const source = await this.locate();
      /** Of each stream that was read to its end: how often it had changed before. */
      const drained = new Map<OutputStream, number>();
      while (source && !this.signal.aborted) {
        const seen = source.run?.pulse.now ?? 0;
        // Asked before the files are read: what was written before the end is then all there.
        const final = await this.final(source);
        let some = false;
        for (const stream of outputStreams) {
          const changes = source.run?.changes(stream) ?? 0;
          if (!final && drained.get(stream) === changes) continue;
          const reader = readers.get(stream) ?? readerOf(source, stream, this.overwrites);
          readers.set(stream, reader);
          do {
            const event = await this.next(source, reader, stream, final);
            if (this.isOver(source)) return;
            if (!event) {
              drained.set(stream, changes);
              break;
            }
            some = true;
            yield event;
            this.at[stream] = event.from + (event.type === "gap" ? event.bytes : event.data.length);
            if (this.held) this.held.at = this.at;
          } while (reader.hasMore);
        }
        if (some) continue;
        if (final) {
          linger = 0;
          yield { type: "exit", process: final };
          return;
        }
        await source.run?.pulse.after(seen, this.signal);
      }
    } finally {
      this.signal.removeEventListener("abort", this.letGo);
      this.held?.release(linger);
      for (const reader of readers.values()) reader.close();
    }
  }

  private isOver(source: Source): boolean {
    return this.signal.aborted || source.run?.isClosed === true;
  }

  /** Waits for a command that has not started yet. Undefined when we end before it does. */
  private async locate(): Promise<Source | undefined> {
    const { executions, get } = this.host;
    for (;;) {
      const seen = executions.pulse.now;
      const { machineId, pid } = this.process;
      const run = executions.runOf(machineId, pid);
      if (run) {
        this.hold(run);
        return {
          run,
          path: (stream) => run.pathOf(stream),
          kept: (stream) => run.recorder.kept[stream],
        };
      }
      if (!(await get()).running) return this.ended();
      if (this.signal.aborted || executions.isClosed) return undefined;
      await executions.pulse.after(seen, this.signal);
    }
  }

  private async ended(): Promise<Source> {
    const { machineId, executionId } = this.process;
    const exec = await this.host.driver.attachExec(machineId, executionId);
    const kept = await this.host.executions.processes.keptFrom(executionId);
    return {
      run: undefined,
      path: (stream) => exec && pathOf(exec, stream),
      kept: (stream) => kept[stream] ?? 0,
    };
  }

  /** The process when it has ended. */
  private async final(source: Source): Promise<ProcessRecord | undefined> {
    if (source.run?.isRunning === true) return undefined;
    return this.host.get();
  }

  private async next(
    source: Source,
    reader: StreamReader,
    stream: OutputStream,
    final: ProcessRecord | undefined,
  ): Promise<Extract<ProcessEvent, { from: number }> | undefined> {
    const from = this.at[stream];
    const end = final && (stream === "stdout" ? final.stdoutBytes : final.stderrBytes);
    const gap = (to: number) => ({ type: "gap", stream, from, bytes: to - from }) as const;
    if (end !== undefined && from >= end) return undefined;
    const data = await reader.next(from, end);
    if (!data) return gap(source.kept(stream));
    if (data.length === 0) return end === undefined ? undefined : gap(end);
    return { type: "output", stream, from, data, ...(reader.hasMore ? { hasMore: true } : {}) };
  }
}

const readerOf = (source: Source, stream: OutputStream, overwrites: boolean): StreamReader =>
  new StreamReader({ path: () => source.path(stream), kept: () => source.kept(stream) }, overwrites);

/** What is written from now on begins here; a character that is half written comes whole. */
async function liveEnd(run: ExecutionRun | undefined, process: ProcessRecord): Promise<Position> {
  if (!run?.isRunning) return { stdout: process.stdoutBytes, stderr: process.stderrBytes };
  const [stdout, stderr] = await Promise.all(outputStreams.map((stream) => wholeEnd(run.pathOf(stream))));
  return { stdout: stdout ?? 0, stderr: stderr ?? 0 };
}

async function wholeEnd(path: string): Promise<number> {
  const file = await open(path, "r").catch(() => undefined);
  if (!file) return 0;
  try {
    const { size } = await file.stat();
    const from = Math.max(size - characterBytes, 0);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(characterBytes), 0, characterBytes, from);
    return from + wholeCharacters(buffer.subarray(0, bytesRead));
  } finally {
    await file.close();
  }
}
