/** What the resources need to run commands in machines. */
import type { MutationOptions } from "./port";

export interface CommandSpec {
  /** The program and its arguments; no shell is added. */
  argv: readonly string[];
  cwd?: string;
  env?: Record<string, string>;
  stdin?: string;
  timeoutMs: number;
}

export interface CommandOptions extends MutationOptions {
  /** Text as it comes, in order for each stream, each byte once. */
  onOutput?: (stream: "stdout" | "stderr", text: string) => void;
}

export interface CommandOutcome {
  /** 128 + n for an end by signal n; 124 where the command's own timeout ended it. */
  exitCode: number;
  stdout: string;
  stderr: string;
  durationMs: number;
  /** False when some of the output was lost or cut; `missing` says what. */
  complete: boolean;
  missing?: string;
  /** True when the timeout ended it. */
  timedOut?: boolean;
}

export interface CommandPort {
  /**
   * Runs a command to its end, over connections that break. A sleeping machine is woken by it where the backend does so.
   * An aborted signal ends the command.
   * @throws MachineGoneError; RefusedError, with the code `command_unknown` or `exit_unknown` where nothing tells whether
   *   or how it ended
   */
  run(machineId: string, spec: CommandSpec, options: CommandOptions): Promise<CommandOutcome>;
}
