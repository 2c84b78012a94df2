import { spawn } from "node:child_process";

/** How long a child may take to end by itself after SIGTERM. */
const graceMs = 2_000;
/** Only the end of a long output is of interest: it holds the error. */
const outputLimitChars = 64 * 1024;

/**
 * Runs a program to its end in a process group of its own, so that an abort or a deadline ends it with all that it
 * started. Resolves with `{ code, output, timedOut }` (both streams in `output`, its last 64 Ki characters), with `code`
 * null when it was killed; rejects when it cannot be started or when `signal` aborts.
 */
export function run(command, args, { cwd, env, signal, timeoutMs, onLine } = {}) {
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    let timedOut = false;
    let forced;

    const kill = (name) => {
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, name);
      } catch (error) {
        if (error.code !== "ESRCH") throw error;
      }
    };
    const stop = () => {
      kill("SIGTERM");
      forced ??= setTimeout(() => kill("SIGKILL"), graceMs);
    };
    const deadline =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            timedOut = true;
            stop();
          }, timeoutMs);
    signal?.addEventListener("abort", stop, { once: true });

    for (const stream of [child.stdout, child.stderr]) {
      let rest = "";
      stream.setEncoding("utf8");
      stream.on("data", (text) => {
        output = (output + text).slice(-outputLimitChars);
        const lines = (rest + text).split("\n");
        rest = lines.pop().slice(-outputLimitChars);
        for (const line of lines) onLine?.(line);
      });
    }

    const settle = (act) => {
      clearTimeout(deadline);
      clearTimeout(forced);
      signal?.removeEventListener("abort", stop);
      act();
    };
    child.once("error", (error) => settle(() => reject(error)));
    child.once("close", (code) =>
      settle(() => (signal?.aborted ? reject(signal.reason) : resolve({ code, output, timedOut }))),
    );
  });
}
