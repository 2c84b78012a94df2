/** What is kept of a command's output, as text. */
import { open } from "node:fs/promises";
import type { Driver } from "../driver";
import type { ExecutionRun } from "../execution-run";
import type { OutputStream, ProcessLogs, ProcessRecord } from "./api";
import type { OutputPiece, ProcessStore } from "./process-store";
import { keepOutputBytes, pathOf, type Position } from "./recorder";

interface Kept {
  from: number;
  bytes: Buffer;
}

export async function logsOf(
  process: ProcessRecord,
  run: ExecutionRun | undefined,
  store: ProcessStore,
  driver: Driver,
): Promise<ProcessLogs> {
  const hold = run?.recorder.hold(run.recorder.kept);
  try {
    const exec = run?.options.exec ?? (await driver.attachExec(process.machineId, process.executionId));
    const recorded = await store.pieces(process.executionId);
    const end = (name: OutputStream) => lastOf(recorded, name) ?? bytesOf(process)[name];
    const newest = recorded.filter((piece) => piece.from >= end(piece.stream) - keepOutputBytes);
    const read = async (name: OutputStream): Promise<Kept> => {
      const first = newest.find((piece) => piece.stream === name);
      const nothing = { from: end(name), bytes: Buffer.alloc(0) };
      if (!first || !exec) return nothing;
      const bytes = await bytesBetween(pathOf(exec, name), first.from, end(name));
      return bytes ? { from: first.from, bytes } : nothing;
    };
    const kept = { stdout: await read("stdout"), stderr: await read("stderr") };
    return render(process, kept, newest);
  } finally {
    hold?.release();
  }
}

function render(
  process: ProcessRecord,
  kept: Record<OutputStream, Kept>,
  pieces: OutputPiece[],
): ProcessLogs {
  const text = ({ from, bytes }: Kept, name: OutputStream) => dropMarker(from, name) + bytes.toString("utf8");
  const { stdout, stderr } = kept;
  const interleaved = pieces.map(({ stream, from, to }) => {
    const { bytes, from: first } = kept[stream];
    return bytes.toString("utf8", Math.max(from - first, 0), Math.max(to - first, 0));
  });
  const markers = dropMarker(stdout.from, "stdout") + dropMarker(stderr.from, "stderr");
  return {
    process,
    stdout: text(stdout, "stdout"),
    stderr: text(stderr, "stderr"),
    output: markers + interleaved.join(""),
    stdoutDropped: stdout.from,
    stderrDropped: stderr.from,
  };
}

/** Stands in the place of output that is kept no more; empty when there is none. */
export const dropMarker = (bytes: number, name: OutputStream): string =>
  bytes === 0 ? "" : `[the first ${String(bytes)} bytes of ${name} are kept no more]\n`;

const bytesOf = (process: ProcessRecord): Position => ({
  stdout: process.stdoutBytes,
  stderr: process.stderrBytes,
});

const lastOf = (pieces: OutputPiece[], name: OutputStream): number | undefined =>
  pieces.findLast((piece) => piece.stream === name)?.to;

async function bytesBetween(path: string, from: number, to: number): Promise<Buffer | undefined> {
  const file = await open(path, "r").catch(() => undefined);
  if (!file) return undefined;
  try {
    const buffer = Buffer.alloc(to - from);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, from);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
