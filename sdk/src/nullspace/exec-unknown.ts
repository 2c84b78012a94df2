/** A start whose answer was lost: what can still be said about it. The command is not started a second time. */
import type { MachinesError } from "../errors";
import { CommandError } from "./command-error";
import type { ExecParams, ExecRest, ProcessInfo } from "./exec-rest";

const listTimeoutMs = 10_000;

export interface LostStart {
  machineId: string;
  start?: ExecParams | undefined;
}

/**
 * Names the processes that run the same command line. None is taken for ours: an equal one may be somebody else's, and its
 * output and exit code would be a lie.
 */
export async function unknownStart(
  rest: Pick<ExecRest, "list">,
  { machineId, start }: LostStart,
  cause: MachinesError,
): Promise<CommandError> {
  const line = start ? [start.command, ...(start.args ?? [])].join(" ") : "";
  const same = await list(rest, machineId).then((all) =>
    all?.filter(({ command, running }) => running && (command === line || command === start?.command)),
  );
  const pids = same?.map(({ pid }) => String(pid)).join(", ");
  const seen =
    pids === undefined
      ? "The processes of the machine cannot be listed just now."
      : pids === ""
        ? "No running process has this command line now: it has not started, or has ended already."
        : `Processes with this command line run: ${pids}; commands.connect follows one.`;
  return new CommandError({
    message:
      `run a command in machine ${machineId}: the connection broke before the service said whether it has started, ` +
      `and it is not started twice. ${seen}`,
    code: "command_unknown",
    machineId,
    details: pids ? { candidates: pids } : undefined,
    cause,
  });
}

async function list(rest: Pick<ExecRest, "list">, machineId: string): Promise<ProcessInfo[] | undefined> {
  try {
    return await rest.list(machineId, { timeoutMs: listTimeoutMs });
  } catch {
    return undefined; // The error that is being made says that they cannot be listed.
  }
}
