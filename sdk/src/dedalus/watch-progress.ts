/** What a watch has seen of one machine: which views are new, and whether the machine has settled. Pure. */
import { isSettled } from "./rules";
import type { Machine } from "./wire";

/** Revisions remembered; a server that replays more than this could repeat one. */
const rememberedLimit = 4_096;

export class WatchProgress {
  /** Where to resume: the id of the last new event, else the last new revision. */
  resumeAfter: string | undefined;
  /** The newest view so far. */
  last: Machine | undefined;
  /** New views so far. */
  count = 0;
  /** A view that a GET answered and the stream has not brought yet. */
  pending: Machine | undefined;
  private readonly seen = new Set<string>();
  private lastPlain: string | undefined;

  constructor(after?: string) {
    this.resumeAfter = after;
    if (after !== undefined) this.seen.add(after);
  }

  /** Takes a view in; true when it was not seen before. */
  accept(view: Machine, eventId?: string): boolean {
    if (this.hasSeen(view, eventId)) {
      this.last ??= view;
      return false;
    }
    this.last = view;
    this.count++;
    this.pending = undefined;
    const identity = view.status.revision ?? eventId;
    this.lastPlain = plainText(view);
    if (identity !== undefined) {
      this.seen.add(identity);
      this.resumeAfter = eventId ?? identity;
      if (this.seen.size > rememberedLimit) this.forgetOldest();
    }
    return true;
  }

  /** Revisions are opaque, so they are compared for equality only; without one the whole view is compared. */
  hasSeen(view: Machine, eventId?: string): boolean {
    const identity = view.status.revision ?? eventId;
    return identity === undefined ? this.lastPlain === plainText(view) : this.seen.has(identity);
  }

  get settled(): boolean {
    return this.last !== undefined && isSettled(this.last.status.phase, this.last.desiredState);
  }

  private forgetOldest(): void {
    for (const oldest of this.seen) {
      this.seen.delete(oldest);
      return;
    }
  }
}

const plainText = (view: Machine): string => JSON.stringify(view.raw);
