/** `machines-local start`: serves until a signal, or starts a process that does. */
import { type Local, startLocal } from "../start-local";
import { startDetached } from "./detach";
import { type StartFlags, toOptions } from "./option-values";
import { readyFacts, sayReady, warn } from "./ready";

export async function start(flags: StartFlags): Promise<void> {
  const options = toOptions(flags, process.env);
  if (flags.detach) {
    sayReady(await startDetached(options), {
      json: flags.json ?? false,
      how: 'It runs in the background; "machines-local stop" stops it.',
    });
    return;
  }
  const stop = new StopSignal(["SIGINT", "SIGTERM", "SIGHUP"]);
  const local = await startLocal({ ...options, warn }, { ownProcess: true });
  sayReady(readyFacts(local), { json: flags.json ?? false, how: "Ctrl-C stops it; machines keep running." });
  await serveUntil(stop, local);
}

/** Remembers a signal that comes before anybody waits for it; a second one ends the process at once. */
export class StopSignal {
  readonly came: Promise<NodeJS.Signals>;

  constructor(names: readonly NodeJS.Signals[]) {
    this.came = new Promise((resolve) => {
      let seen = false;
      for (const name of names) {
        process.on(name, () => {
          if (seen) process.exit(130);
          seen = true;
          resolve(name);
        });
      }
    });
  }
}

export async function serveUntil(stop: StopSignal, local: Local): Promise<void> {
  await stop.came;
  await local.close();
  // Handlers of signals would keep the process alive for the rest of its input.
  process.exit(0);
}
