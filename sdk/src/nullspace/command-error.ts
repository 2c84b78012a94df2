/** What can go wrong with a command that is followed over a socket. */
import { MachinesError, type ErrorFacts } from "../errors";

/**
 * A command without an exit code that could be trusted. Codes:
 * `command_unknown`: the connection broke before the service said whether it had started; it is never started twice.
 * `exit_unknown`: it was started, but how it ended cannot be learned; it may still run.
 * `command_abandoned`: whoever read its output stopped before its end.
 * `terminal_ended`: the shell of a terminal has ended, and nobody takes what is typed.
 * Any other code is the service's own (`exec_failed`, `exec_timeout`, ...): it says that the command has failed.
 */
export class CommandError extends MachinesError {
  override readonly name = "CommandError";
  /** Names the process, where it was learned. */
  declare readonly pid?: number;

  constructor({ pid, ...facts }: ErrorFacts & { pid?: number | undefined }) {
    super(facts);
    if (pid !== undefined) Object.defineProperty(this, "pid", { value: pid, enumerable: true });
  }
}
