/** What a command does, as frames: its output as fast as it is read, what was lost of it, why it ended, its end. */
import type { ProcessEvent, ProcessOutput, ProcessRecord } from "../../../engine/processes/api";
import { unknownExitCode } from "../render-process";
import type { MachineSocket } from "./machine-socket";

/** As a shell's `timeout` says it. */
const timeoutExitCode = 124;

type Output = Extract<ProcessEvent, { type: "output" }>;

/** How one kind of channel words it. */
export interface Wording {
  id: string;
  pid: number;
  output: (event: Output) => object;
  exit: (process: ProcessRecord, exitCode: number) => object;
}

/** Returns at the command's end or the socket's. Never rejects. */
export async function pipeOutput(
  { connection, gone, closing }: MachineSocket,
  { events }: ProcessOutput,
  wording: Wording,
): Promise<void> {
  const { out } = connection;
  const { id, pid } = wording;
  /** Set while pieces go out that were read together. */
  let letGo: (() => void) | undefined;
  try {
    for await (const event of events) {
      if (!letGo) await out.room();
      if (!out.isOpen) return;
      switch (event.type) {
        case "output":
          if (event.hasMore) letGo ??= out.hold();
          out.send(wording.output(event));
          if (event.hasMore) break;
          letGo?.();
          letGo = undefined;
          break;
        case "gap":
          // Output that nobody can have any more. Clients that do not know the frame skip it.
          out.send({
            ...{ type: "exec_gap", id, pid },
            ...{ stream: event.stream, offset: event.from, bytes: event.bytes },
          });
          break;
        case "exit":
          tellCause(connection, event.process, id);
          out.send(wording.exit(event.process, exitCodeOf(event.process)));
          return;
        default:
          return event satisfies never;
      }
    }
    if (!gone.aborted && !closing.aborted) throw new Error(`the output of ${String(pid)} has no end`);
  } catch (error) {
    connection.fail(error, id);
  } finally {
    letGo?.();
  }
}

/** A command that did not end by itself has no result, whatever its exit code: an `error` comes before that. */
function tellCause(connection: MachineSocket["connection"], process: ProcessRecord, id: string): void {
  if (process.errorCode === null) return;
  const message = process.errorMessage ?? "the command did not end by itself";
  connection.tell({ message, code: codes[process.errorCode] ?? "exec_failed" }, id);
}

const codes: Record<string, string> = { EXECUTION_TIMEOUT: "exec_timeout" };

const exitCodeOf = (process: ProcessRecord): number =>
  process.errorCode === "EXECUTION_TIMEOUT" ? timeoutExitCode : (process.exitCode ?? unknownExitCode);
