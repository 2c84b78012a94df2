/** Ends the standard input of a command that nobody here is attached to: there is no call over REST for it. */
import { randomUUID } from "node:crypto";
import { machinePath } from "./calls";
import { CommandError } from "./command-error";
import { readExecFrame } from "./exec-frames";
import { openApiSocket, type SocketContext } from "./open-socket";

/** Resolves when the service has closed its side, so that it has read the frame. @throws CommandError · ConnectionError `connection_lost`: it may not have */
export async function closeStdinOf(context: SocketContext, machineId: string, pid: number): Promise<void> {
  const what = `close the standard input of process ${String(pid)} in machine ${machineId}`;
  const socket = await openApiSocket(context, {
    what,
    machineId,
    path: `${machinePath(machineId, "/ws")}?channel=exec`,
  });
  const id = `exec_${randomUUID()}`;
  try {
    await socket.send(JSON.stringify({ type: "exec_connect", id, pid }));
    for (let isAttached = false; !isAttached;) {
      for (const text of (await socket.read()) ?? []) {
        const frame = readExecFrame(text);
        isAttached ||= frame.kind === "started";
        if (frame.kind === "exit") return; // Nothing reads it any more.
        if (frame.kind !== "error") continue;
        const code = frame.code ?? "exec_failed";
        throw new CommandError({
          message: context.redact(`${what}: ${frame.message}`),
          code,
          machineId,
          pid,
        });
      }
    }
    await socket.send(JSON.stringify({ type: "exec_stdin_close", id, pid }));
    await socket.closeAnswered();
  } finally {
    await socket.close();
  }
}
