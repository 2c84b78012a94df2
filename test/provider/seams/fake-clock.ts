/** A clock that a test moves; `until` moves it on by itself, timer by timer, whenever nothing else can happen. */
import type { Clock } from "../../../provider/src/context";

interface Timer {
  at: number;
  fire: () => void;
}

export class FakeClock implements Clock {
  private time = Date.parse("2026-01-01T10:00:00.000Z");
  private timers: Timer[] = [];

  now(): number {
    return this.time;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const timer: Timer = { at: this.time + ms, fire: resolve };
      this.timers.push(timer);
      signal.addEventListener(
        "abort",
        () => {
          this.timers = this.timers.filter((other) => other !== timer);
          resolve();
        },
        { once: true },
      );
    });
  }

  after(ms: number, fire: () => void): void {
    this.timers.push({ at: this.time + ms, fire });
  }

  /** Runs `work` to its end, moving the time on. Fails when it waits for something that no timer brings. */
  async until<T>(work: Promise<T>): Promise<T> {
    let done = false;
    const settled = work.then(
      () => (done = true),
      () => (done = true),
    );
    for (;;) {
      // Lets everything run that waits for no timer.
      for (let turn = 0; turn < 5 && !done; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      if (done) break;
      const next = this.timers.reduce<Timer | undefined>((a, b) => (a && a.at <= b.at ? a : b), undefined);
      if (!next) throw new Error("the work waits, and no timer is set");
      this.timers = this.timers.filter((other) => other !== next);
      this.time = Math.max(this.time, next.at);
      next.fire();
    }
    await settled;
    return work;
  }
}
