/** One timer that can be set anew; a time that lies further off than timers reach rings early, and is asked for again. */
const maxTimerMs = 2_147_483_647;

export class Alarm {
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly now: () => Date,
    private readonly ring: () => void,
  ) {}

  /** @param atMs milliseconds since the epoch; a time that is past rings at once, undefined never */
  set(atMs: number | undefined): void {
    this.clear();
    if (atMs === undefined) return;
    const waitMs = Math.min(Math.max(atMs - this.now().getTime(), 0), maxTimerMs);
    this.timer = setTimeout(this.ring, waitMs);
  }

  clear(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }
}
