/** What the resources need to run commands in machines. */
import { RefusedError, type CallOptions, type MutationOptions } from "./port";

/**
 * The command has no end of its own: it failed without an exit code, or nothing tells how it ended. A plain RefusedError is
 * about a call, and says nothing of a command that was started.
 */
export class NoEndError extends RefusedError {
  override readonly name = "NoEndError";
}

export interface CommandSpec {
  /** The program and its arguments; no shell is added. */
  argv: readonly string[];
  cwd?: string;
  env?: Record<string, string>;
  stdin?: string;
  timeoutMs: number;
}

export interface FollowOptions extends CallOptions {
  /** Text as it comes, in order for each stream, each byte once. */
  onOutput?: (stream: "stdout" | "stderr", text: string) => void;
}

export interface CommandOptions extends MutationOptions, FollowOptions {
  /** The id by which another process can follow the command; called again when the id changes. */
  onStarted?: (commandId: string) => void;
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

/** A command that the service knows of, whoever ran it. Without its arguments, variables and output: they may be secret. */
export interface CommandView {
  id: string;
  /** Name of the program, such as "node". */
  program: string;
  /** In words: "running", "exit code 0". */
  outcome: string;
  /** ISO 8601; undefined where the service tells no times. */
  startedAt?: string;
  endedAt?: string;
}

export interface CommandPort {
  /** True where the same idempotency key, sent again, answers the same command. */
  readonly keepsKeys: boolean;
  /**
   * Runs a command to its end, over connections that break. A sleeping machine is woken by it where the backend does so.
   * An aborted signal ends the command.
   * @throws MachineGoneError; NoEndError, with the code `command_unknown` or `exit_unknown` where nothing tells whether
   *   it has started or how it ended; RefusedError
   */
  run(machineId: string, spec: CommandSpec, options: CommandOptions): Promise<CommandOutcome>;
  /**
   * Follows a command that an earlier `run` has started, from the start of its output. An aborted signal ends the command.
   * @throws as `run`; NoEndError `command_unknown` when nothing is known of it any more, or it cannot have been given all input
   */
  follow(machineId: string, commandId: string, options: FollowOptions): Promise<CommandOutcome>;
  /** Ends a command of an earlier `run`, when it runs still. @throws MachineGoneError, RefusedError */
  end(machineId: string, commandId: string, options: CallOptions): Promise<void>;
  /** The commands that the service knows, in no order, ended ones as long as it keeps them. @throws MachineGoneError */
  list?(machineId: string, options: CallOptions): AsyncIterable<CommandView>;
}
