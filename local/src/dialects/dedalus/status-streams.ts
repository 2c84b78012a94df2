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
  private latest: { machine: MachineRecord; frame: string } | undefined;

  /** @param json the JSON of a status event */
  constructor(
    heartbeatMs: number,
    readonly maxBacklogBytes: number,
    private readonly json: (machine: MachineRecord) => string,
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

  /** One revision is told to many streams: its frame is made once. */
  frame(machine: MachineRecord): string {
    if (this.latest?.machine !== machine) {
      const frame = `event: status\nid: ${String(machine.revision)}\ndata: ${this.json(machine)}\n\n`;
      this.latest = { machine, frame };
    }
    return this.latest.frame;
  }

  /** Ends every stream; a client resumes with Last-Event-ID at the next control plane. */
  close(): void {
    this.closed = true;
    clearInterval(this.timer);
    for (const stream of this.open) stream.end();
  }
}

export class StatusStream {
  /** Told before the answer began. */
  private waiting: MachineRecord[] | undefined = [];
  /** Whether the machine rested at the last revision that was told; undefined before the first. */
  private settled: boolean | undefined;
  private events = 0;
  private ending = false;
  private rule: StreamRule | undefined;
  private stopFollowing: (() => void) | undefined;

  constructor(
    private readonly response: ServerResponse,
    private readonly streams: StatusStreams,
  ) {
    response.once("close", () => {
      this.ending = true;
      this.stop();
      this.streams.delete(this);
    });
  }

  /** Takes one revision; sends it when the answer has begun. */
  readonly tell = (machine: MachineRecord): void => {
    if (this.waiting) this.waiting.push(machine);
    else if (!this.ending) {
      this.send(machine);
      this.endIfSettled();
    }
  };

  /** The answer has begun: sends what was told so far. Past rests do not end the stream, only the present one does. */
  begin(stopFollowing: () => void, rule: StreamRule | undefined): void {
    const told = this.waiting ?? [];
    this.waiting = undefined;
    this.stopFollowing = stopFollowing;
    this.rule = rule;
    if (this.ending) {
      this.stop();
      return;
    }
    this.streams.add(this);
    this.misbehave();
    for (const machine of told) if (!this.ending) this.send(machine);
    this.endIfSettled();
  }

  /** True when a resume has brought nothing: the reader may know all there is. */
  get isUntold(): boolean {
    return this.settled === undefined && !this.ending && !this.silent;
  }

  /** Nothing comes after the revision that the reader has: says so, and ends. */
  endAt(revision: number): void {
    this.response.write(
      `event: bookmark\nid: ${String(revision)}\ndata: {"revision":"${String(revision)}"}\n\n`,
    );
    this.end();
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

  private send(machine: MachineRecord): void {
    this.settled = isSettled(machine.phase, machine.desiredState);
    if (this.silent) return;
    const frame = this.streams.frame(machine);
    if (this.rule?.do === "truncate" && this.events >= this.rule.afterEvents) {
      this.cut(frame.slice(0, frame.length / 2));
      return;
    }
    this.events++;
    this.response.write(frame);
    if (this.misbehave()) return;
    // A reader that does not keep up goes on from its last event, with a new request.
    if (this.response.writableLength > this.streams.maxBacklogBytes) this.end();
  }

  private endIfSettled(): void {
    if (this.settled && !this.silent) this.end();
  }

  private stop(): void {
    this.stopFollowing?.();
    this.stopFollowing = undefined;
  }

  private get silent(): boolean {
    const { rule } = this;
    return rule?.do === "silence" && this.events >= rule.afterEvents;
  }

  /** Drops the connection if the fault script says so; true when it did. */
  private misbehave(): boolean {
    const { rule } = this;
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
