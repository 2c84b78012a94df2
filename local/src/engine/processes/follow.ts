/** Reads what a command writes straight from its files, as fast as the reader asks and no faster. */
import { type FileHandle, open } from "node:fs/promises";
import type { Driver } from "../driver";
import type { ExecutionRun } from "../execution-run";
import type { Executions } from "../executions";
import { nextBlock, pieceBytes, wholeCharacters } from "../output";
import type { FollowProcess, OutputStream, ProcessEvent, ProcessOutput, ProcessRecord } from "./api";
import { type Hold, outputStreams, pathOf, type Position } from "./recorder";

/** How long all output is kept for a reader that was cut, or has not come yet, in milliseconds. */
export const lingerMs = 10_000;
/** What is read of a file at once while much is there, at most. */
const blockBytes = 4 * pieceBytes;
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
  { from = "live", signal }: FollowProcess,
): Promise<ProcessOutput> {
  const run = host.executions.runOf(process.machineId, process.pid);
  const start = from === "live" ? await liveEnd(run, process) : { ...from };
  const reader = new Reader(host, process, start, signal);
  if (run) reader.hold(run);
  return { from: { ...start }, events: reader.events() };
}

class Reader {
  private held: Hold | undefined;
  private readonly files = new Map<OutputStream, FileHandle>();
  /** Read ahead while more has come than one piece: an idle reader holds nothing. */
  private readonly blocks = new Map<OutputStream, { from: number; bytes: Buffer }>();
  /** The next block, which is read while the last piece of the one before is on its way. */
  private readonly ahead = new Map<OutputStream, { from: number; bytes: Promise<Buffer | undefined> }>();
  private readonly letGo = (): void => this.held?.release(lingerMs);

  constructor(
    private readonly host: FollowHost,
    private readonly process: ProcessRecord,
    /** The next byte of each stream that the reader has not seen. */
    private readonly at: Position,
    private readonly signal: AbortSignal,
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
    try {
      const source = await this.locate();
      while (source && !this.signal.aborted) {
        const seen = source.run?.pulse.now ?? 0;
        // Asked before the files are read: what was written before the end is then all there.
        const final = await this.final(source);
        let some = false;
        for (const stream of outputStreams) {
          const event = await this.next(source, stream, final);
          if (this.isOver(source)) return;
          if (!event) continue;
          some = true;
          if (event.type === "output") this.readAhead(source, stream, event.from + event.data.length);
          yield event;
          this.at[stream] = event.from + (event.type === "gap" ? event.bytes : event.data.length);
          if (this.held) this.held.at = this.at;
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
      await Promise.allSettled([...this.ahead.values()].map(({ bytes }) => bytes));
      for (const file of this.files.values()) await file.close();
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
    stream: OutputStream,
    final: ProcessRecord | undefined,
  ): Promise<Extract<ProcessEvent, { from: number }> | undefined> {
    const from = this.at[stream];
    const end = final && (stream === "stdout" ? final.stdoutBytes : final.stderrBytes);
    const gap = (to: number) => ({ type: "gap", stream, from, bytes: to - from }) as const;
    if (end !== undefined && from >= end) return undefined;
    const bytes = this.known(stream, from) ?? (await this.block(source, stream, from));
    if (!bytes) return gap(source.kept(stream));
    const piece = bytes.subarray(0, Math.min(pieceBytes, (end ?? Infinity) - from));
    if (piece.length === 0) return end === undefined ? undefined : gap(end);
    const isLast = end !== undefined && from + piece.length >= end;
    const whole = isLast ? piece.length : wholeCharacters(piece);
    if (whole === 0) return end === undefined ? undefined : gap(end);
    return { type: "output", stream, from, data: piece.subarray(0, whole) };
  }

  /** What was read ahead. Less than a piece of it may be cut within a character, or have grown meanwhile. */
  private known(stream: OutputStream, from: number): Buffer | undefined {
    const block = this.blocks.get(stream);
    if (block && from >= block.from && from + pieceBytes <= block.from + block.bytes.length) {
      return block.bytes.subarray(from - block.from);
    }
    this.blocks.delete(stream);
    return undefined;
  }

  /** Where a whole block has come, there is likely to be another one. */
  private readAhead(source: Source, stream: OutputStream, from: number): void {
    const block = this.blocks.get(stream);
    if (!block || from + pieceBytes <= block.from + block.bytes.length) return;
    this.blocks.delete(stream);
    const bytes = this.read(source, stream, from, blockBytes);
    bytes.catch(() => undefined); // Thrown where it is awaited.
    this.ahead.set(stream, { from, bytes });
  }

  private async block(source: Source, stream: OutputStream, from: number): Promise<Buffer | undefined> {
    const ahead = this.ahead.get(stream);
    this.ahead.delete(stream);
    const early = ahead?.from === from ? await ahead.bytes : undefined;
    // It may have ended, or been dropped, since.
    const bytes = early?.length ? early : await this.read(source, stream, from, 2 * pieceBytes);
    if (bytes && bytes.length > pieceBytes) this.blocks.set(stream, { from, bytes });
    return bytes;
  }

  /** Empty where there is nothing yet, or any more; undefined when it was dropped. */
  private async read(
    source: Source,
    stream: OutputStream,
    from: number,
    limit: number,
  ): Promise<Buffer | undefined> {
    if (source.kept(stream) > from) return undefined;
    const file = await this.open(source, stream);
    const bytes = file ? await nextBlock(file, from, limit) : Buffer.alloc(0);
    // Asked again: what is dropped while we read it reads as zeros.
    return source.kept(stream) > from ? undefined : bytes;
  }

  private async open(source: Source, stream: OutputStream): Promise<FileHandle | undefined> {
    const known = this.files.get(stream);
    if (known) return known;
    const path = source.path(stream);
    const file = path === undefined ? undefined : await open(path, "r").catch(() => undefined);
    if (file) this.files.set(stream, file);
    return file;
  }
}

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
