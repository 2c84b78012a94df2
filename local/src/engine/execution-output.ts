/** What an execution wrote, as its callers see it: two texts, or events in pages. */
import type { ExecutionEventsTable } from "../store/schema";
import type { RunningExec } from "./driver";
import { textBetween } from "./output";
import { keepOutputBytes, pathOf, type Position } from "./processes/recorder";
import type { ExecutionEventRecord, ExecutionRecord } from "./record";

export interface ExecutionOutput {
  record: ExecutionRecord;
  stdout: string;
  stderr: string;
}

/** Bytes of output on one page of events: in JSON a byte may take six. */
const pageBytes = 4 * 1_048_576;

/** The newest that is kept of both streams; nothing of an execution whose files have gone. */
export async function outputOf(
  record: ExecutionRecord,
  exec: RunningExec | undefined,
): Promise<ExecutionOutput> {
  if (!exec) {
    const gone = { stdoutTruncated: record.stdoutBytes > 0, stderrTruncated: record.stderrBytes > 0 };
    return { record: { ...record, ...gone }, stdout: "", stderr: "" };
  }
  const cut = {
    stdoutTruncated: record.stdoutBytes > keepOutputBytes,
    stderrTruncated: record.stderrBytes > keepOutputBytes,
  };
  const read = (path: string, bytes: number) =>
    textBetween(path, Math.max(0, bytes - keepOutputBytes), bytes);
  const [stdout, stderr] = await Promise.all([
    read(exec.stdoutPath, record.stdoutBytes),
    read(exec.stderrPath, record.stderrBytes),
  ]);
  return { record: { ...record, ...cut }, stdout, stderr };
}

/** The first of these rows that one answer has room for; at least one. */
export function onOnePage(rows: readonly ExecutionEventsTable[], limit: number): ExecutionEventsTable[] {
  let sum = 0;
  const beyond = rows.findIndex((row) => (sum += (row.to_byte ?? 0) - (row.from_byte ?? 0)) > pageBytes);
  return rows.slice(0, Math.min(limit, beyond < 0 ? rows.length : Math.max(beyond, 1)));
}

/** @param kept where the output begins that is kept, asked when all has been read; what was dropped by then was read as zeros */
export async function eventsOf(
  rows: readonly ExecutionEventsTable[],
  exec: RunningExec | undefined,
  kept: () => Position | undefined,
): Promise<ExecutionEventRecord[]> {
  const events = await Promise.all(rows.map(async (row) => ({ row, event: await eventOf(row, exec) })));
  const from = kept();
  return events
    .filter(({ row }) => row.type === "lifecycle" || (row.from_byte ?? 0) >= (from?.[row.type] ?? 0))
    .map(({ event }) => event);
}

async function eventOf(
  row: ExecutionEventsTable,
  exec: RunningExec | undefined,
): Promise<ExecutionEventRecord> {
  const head = { sequence: row.sequence, type: row.type, at: row.at };
  if (row.type !== "lifecycle") {
    const chunk = exec ? await textBetween(pathOf(exec, row.type), row.from_byte ?? 0, row.to_byte ?? 0) : "";
    return { ...head, chunk };
  }
  return {
    ...head,
    ...(row.status === null ? {} : { status: row.status }),
    ...(row.exit_code === null ? {} : { exitCode: row.exit_code }),
    ...(row.signal === null ? {} : { signal: row.signal }),
    ...(row.error_code === null ? {} : { errorCode: row.error_code }),
    ...(row.error_message === null ? {} : { errorMessage: row.error_message }),
  };
}
