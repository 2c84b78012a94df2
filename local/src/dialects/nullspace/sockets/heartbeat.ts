/** Pings every open socket, by one timer for all. */
import { setImmediate as breathe } from "node:timers/promises";
import { sliceMs } from "../../../engine/line";
import type { Connection } from "./connection";

export class Heartbeat {
  private readonly timer: NodeJS.Timeout;
  private round: Promise<void> | undefined;

  constructor(
    pingMs: number,
    private readonly open: ReadonlySet<Connection>,
  ) {
    this.timer = setInterval(() => {
      this.round ??= this.beatAll().finally(() => {
        this.round = undefined;
      });
    }, pingMs).unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private async beatAll(): Promise<void> {
    let since = performance.now();
    for (const connection of this.open) {
      connection.beat();
      if (performance.now() - since <= sliceMs) continue;
      await breathe();
      since = performance.now();
    }
  }
}
