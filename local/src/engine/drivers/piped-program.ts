/** Programs of ours in a machine, with our own pipes: unlike a user's commands they end with the control plane. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import type { Writable } from "node:stream";
import { DriverError, type PipedProgram } from "../driver";
import { signalProcess } from "./process-table";

/** Names our shells in the host's process list, together with the machine's folder. */
export const pipeTag = "pulumi-machines-pipe";

/**
 * $1 tag, $2 machine folder, $3 how many cgroup folders follow, then they, then argv.
 * Descriptor 3 ends when the control plane does, or lets go: then all of our group is killed. The machine may be gone
 * by then, and pids may have been reused, but not the group's: the one that waits is still in it.
 */
const pipeScript = `(
  exec 0<&3 1>&- 2>&- 3<&-
  read -r _
  kill -9 0
) &
exec 3<&-
joins=$3
shift 3
while [ "$joins" -gt 0 ]; do
  echo 0 >"$1/cgroup.procs" || exit 126
  shift
  joins=$((joins - 1))
done
exec "$@"
`;

/** $1 working folder, then argv. */
const cwdScript = 'CDPATH= cd -- "$1" || exit 126; shift; exec "$@"';

/** What a driver puts around a program. */
export interface PipePlace {
  /** The machine's folder. */
  folder: string;
  /** Stands before argv: what enters the machine. */
  prefix: readonly string[];
  /** Cgroups to join first. */
  cgroups: readonly string[];
  /** Where it starts; undefined: where the prefix leads. */
  cwd?: string | undefined;
  env: Record<string, string>;
}

/**
 * Resolves when the shell has started; a program that is not there ends with 127, a folder that is not there with 126.
 * @throws DriverError bad_command, exec_failed.
 */
export async function startPiped(argv: readonly string[], place: PipePlace): Promise<PipedProgram> {
  if (!argv[0]) throw new DriverError("bad_command", "the command is empty: give at least a name", false);
  if ([...argv, place.cwd ?? ""].some((text) => text.includes("\0"))) {
    throw new DriverError("bad_command", "a NUL character cannot be passed to a program", false);
  }
  const inside = place.cwd === undefined ? argv : ["/bin/sh", "-c", cwdScript, "sh", place.cwd, ...argv];
  const child = spawn(
    "/bin/sh",
    [
      ...["-c", pipeScript, "sh", pipeTag, place.folder],
      ...[String(place.cgroups.length), ...place.cgroups, ...place.prefix, ...inside],
    ],
    // Its own session: what kills the group must not kill us.
    { detached: true, stdio: ["pipe", "pipe", "pipe", "pipe"], cwd: "/", env: place.env },
  );
  try {
    await once(child, "spawn");
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    throw new DriverError("exec_failed", `cannot start a shell on this host: ${words}`, true, {
      cause: error,
    });
  }
  const life = child.stdio[3] as Writable;
  life.on("error", () => undefined); // the one that waits was killed: there is nobody left to tell
  const exited = new Promise<number>((resolve) => {
    child.once("exit", (code, signal) => {
      life.destroy(); // takes what the program left behind
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
  child.stdin.on("error", () => undefined); // it stopped reading: its exit code says why
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    exited,
    kill: () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      if (child.pid !== undefined) signalProcess(-child.pid, "SIGKILL");
      life.destroy();
    },
  };
}
