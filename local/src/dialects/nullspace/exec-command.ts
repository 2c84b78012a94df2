/** A command as the vendor's clients describe it, over HTTP and over a socket alike. */
import type { NewProcess } from "../../engine/processes/api";
import type { Violation } from "../../http-errors";
import { violation } from "../../http-violations";
import { cwdViolations } from "./cwd";
import { envsViolations, nulViolations } from "./requests";

/** The vendor's, for a foreground command. */
export const defaultTimeoutSecs = 30;
/** What a timer of the engine can count: 24.8 days. */
const maxTimeoutSecs = 2_147_483;

export interface AskedCommand {
  command: string;
  args?: string[] | null | undefined;
  cwd?: string | null | undefined;
  envs?: Record<string, string> | null | undefined;
  shell?: boolean | null | undefined;
}

/** A shell's line gets the arguments as $1, $2, ... */
export function processOf({ command, args, cwd, envs, shell }: AskedCommand): NewProcess {
  const words = args ?? [];
  return {
    command: shell === true ? ["/bin/sh", "-c", command, "sh", ...words] : [command, ...words],
    display: [command, ...words].join(" "),
    ...(typeof cwd === "string" ? { cwd } : {}),
    ...(envs ? { env: envs } : {}),
  };
}

/** What a schema cannot say. @param root where the command stands, such as "body" */
export const execViolations = (fields: Record<string, unknown>, root: string): Violation[] => [
  ...nulViolations(`${root}.command`, fields["command"]),
  ...(Array.isArray(fields["args"])
    ? fields["args"].flatMap((word, at) => nulViolations(`${root}.args.${String(at)}`, word))
    : []),
  ...cwdViolations(fields["cwd"], `${root}.cwd`),
  ...envsViolations(`${root}.envs`, fields["envs"]),
  ...timeoutViolations(fields["timeout_secs"], `${root}.timeout_secs`),
];

export const timeoutViolations = (value: unknown, location: string): Violation[] =>
  typeof value === "number" && value > maxTimeoutSecs
    ? [violation(location, `must be at most ${String(maxTimeoutSecs)} seconds`)]
    : [];
