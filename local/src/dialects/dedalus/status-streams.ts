/**
 * The status stream of a machine (Server-Sent Events): every revision as `event: status` with `id: <revision>`, closed
 * when the machine rests. Kept light, since there may be ten thousand: one object and one listener each, one timer for all.
 */
import type { ServerResponse } from "node:http";
import { isSettled } from "@pulumi-machines/sdk/dedalus/rules";
import type { MachineRecord } from "../../engine/record";
import type { StreamRule } from "../../faults";

const heartbeat = ":\n\n";

/** All open streams of the server. */
export class StatusStreams {
  private readonly open = new Set<StatusStream>();
  private readonly timer: NodeJS.Timeout;
  private closed = false;

  constructor(
    heartbeatMs: number,
    readonly maxBacklogBytes: number,
  ) {
    this.timer = setInterval(() => {
      for (const stream of this.open) stream.beat();
    }, heartbeatMs).unref();
  }

  add(stream: StatusStream): void {
    if (this.closed) stream.end();
    else this.open.add(stream);
  }

  delete(stream: StatusStream): void {
    this.open.delete(stream);
  }

  /** Ends every stream; a client resumes with Last-Event-ID at the next control plane. */
  close(): void {
    this.closed = true;
    clearInterval(this.timer);
    for (const stream of this.open) stream.end();
  }
}

export interface StatusStreamOptions {
  /** The JSON of a status event. */
  json: (machine: MachineRecord) => string;
  rule?: StreamRule | undefined;
}

export class StatusStream {
  private last: MachineRecord | undefined;
  private events = 0;
  private catchingUp = true;
  private ending = false;
  private stopFollowing: (() => void) | undefined;

  constructor(
    private readonly response: ServerResponse,
    private readonly streams: StatusStreams,
    private readonly options: StatusStreamOptions,
  ) {
    response.once("close", () => {
      this.stop();
      this.streams.delete(this);
    });
    streams.add(this);
    this.misbehave();
  }

  /** Sends one revision. */
  readonly tell = (machine: MachineRecord): void => {
    if (this.ending) return;
    this.last = machine;
    if (this.silent) return;
    const frame = `event: status\nid: ${String(machine.revision)}\ndata: ${this.options.json(machine)}\n\n`;
    if (this.options.rule?.do === "truncate" && this.events >= this.options.rule.afterEvents) {
      this.cut(frame.slice(0, frame.length / 2));
      return;
    }
    this.events++;
    this.response.write(frame);
    if (this.misbehave()) return;
    // A reader that does not keep up goes on from its last event, with a new request.
    if (this.response.writableLength > this.streams.maxBacklogBytes) this.end();
    else if (!this.catchingUp) this.endIfSettled();
  };

  /**
   * What was stored has been told. `current` is the machine as it is: a resume at its last revision gets no event any
   * more when it rests already.
   */
  async caughtUp(stopFollowing: () => void, current: () => Promise<MachineRecord>, after?: number) {
    this.stopFollowing = stopFollowing;
    this.catchingUp = false;
    if (this.ending) this.stop();
    else if (this.last) this.endIfSettled();
    else if (after !== undefined) {
      const machine = await current();
      const rests = isSettled(machine.phase, machine.desiredState);
      if (this.last || this.ending || this.silent || machine.revision !== after || !rests) return;
      this.response.write(`event: bookmark\nid: ${String(after)}\ndata: {"revision":"${String(after)}"}\n\n`);
      this.end();
    }
  }

  /** A comment that shows that the connection lives. */
  beat(): void {
    // It was ended and its reader has not taken the rest in all this time.
    if (this.ending) this.response.destroy();
    else if (!this.silent) this.response.write(heartbeat);
  }

  end(): void {
    if (this.ending) return;
    this.ending = true;
    this.stop();
    this.response.end();
  }

  private endIfSettled(): void {
    if (this.last && !this.silent && isSettled(this.last.phase, this.last.desiredState)) this.end();
  }

  private stop(): void {
    this.stopFollowing?.();
    this.stopFollowing = undefined;
  }

  private get silent(): boolean {
    const { rule } = this.options;
    return rule?.do === "silence" && this.events >= rule.afterEvents;
  }

  /** Drops the connection if the fault script says so; true when it did. */
  private misbehave(): boolean {
    const { rule } = this.options;
    if (rule?.do !== "drop" || this.events < rule.afterEvents) return false;
    this.cut(heartbeat);
    return true;
  }

  /** Breaks the connection after these last bytes, without the end that HTTP wants. */
  private cut(bytes: string): void {
    this.ending = true;
    this.stop();
    this.response.write(bytes, () => {
      this.response.destroy();
    });
  }
}
