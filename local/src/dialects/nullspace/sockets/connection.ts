/** One open WebSocket: its frames, what it is told of bad ones, its life and its end. */
import type { Duplex } from "node:stream";
import type { RawData, WebSocket } from "ws";
import { violation } from "../../../http-violations";
import { toWireError } from "../refusals";
import { Outbound } from "./outbound";
import { BadFrame, type Frame } from "./parse-frame";

/** What a kind of socket does with frames. */
export interface Channel {
  /** Of the frames by which it tells of errors; default "error". */
  readonly errorType?: string;
  /** Resolves when the frame is dealt with; much more is not read before. @throws BadFrame, WireError, Refusal */
  receive(frame: Frame): void | Promise<void>;
  /** The socket is gone. */
  closed?(): void;
}

export const closeCodes = { goingAway: 1001, abuse: 1008, tooBig: 1009, internal: 1011 } as const;

/** After so many bad frames it is no mistake any more. */
const maxBadFrames = 16;
/** Frames, and bytes of them, that may be worked on; then nothing is read until there are fewer. */
const maxInWork = 64;
const maxInWorkBytes = 1_048_576;
/** A longer correlation text is not one. */
const maxIdLength = 200;

export class Connection {
  readonly out: Outbound;
  private channel: Channel | undefined;
  private badFrames = 0;
  private inWork = 0;
  private inWorkBytes = 0;
  private unanswered = 0;
  private takenAtBeat = 0;

  constructor(
    private readonly socket: WebSocket,
    raw: Duplex,
    private readonly report: (message: string, error: unknown) => void,
  ) {
    this.out = new Outbound(socket, raw);
  }

  /** Frames that came meanwhile are not lost: none is read before this. */
  serve(channel: Channel, gone: () => void): void {
    this.channel = channel;
    this.socket
      .on("message", this.onMessage)
      .on("pong", this.onPong)
      // It closes by itself, with the code that says what was wrong.
      .on("error", ignore)
      .once("close", () => {
        gone();
        channel.closed?.();
      });
  }

  /** Pings. A peer of which two pings have heard nothing is cut. */
  beat(): void {
    const { taken } = this.out;
    const moved = this.out.isFull && taken > this.takenAtBeat;
    this.takenAtBeat = taken;
    // Its pongs are behind what it has still to read, or what we have not read.
    if (moved || this.socket.isPaused) this.unanswered = 0;
    if (this.unanswered >= 2) {
      this.socket.terminate();
      return;
    }
    this.unanswered++;
    if (this.out.isOpen && !this.out.isFull) this.socket.ping();
  }

  close(code: number, reason: string): void {
    // A paused socket would never read the other side's end.
    this.socket.resume();
    this.socket.close(code, reason);
  }

  terminate(): void {
    this.socket.terminate();
  }

  /** Tells of an error as an `error` frame. One that nobody foresaw ends the socket. */
  fail(error: unknown, id?: string): void {
    // Nobody is there to be told, and what was under way ended for that reason.
    if (!this.out.isOpen) return;
    const known = error instanceof BadFrame ? error : toWireError(error);
    if (known) this.tell(known, id);
    else {
      this.report("a WebSocket failed", error);
      this.tell({ message: "internal error; the log has it", code: "internal_error" }, id);
      this.close(closeCodes.internal, "internal error");
    }
    if (error instanceof BadFrame && ++this.badFrames >= maxBadFrames) {
      this.close(closeCodes.abuse, "too many frames that are not valid");
    }
  }

  /** An `error` frame. */
  tell({ message, code }: { message: string; code: string }, id?: string): void {
    const type = this.channel?.errorType ?? "error";
    this.out.send({ type, ...(id === undefined ? {} : { id }), message, code });
  }

  private readonly onPong = (): void => {
    this.unanswered = 0;
  };

  private readonly onMessage = (data: RawData, isBinary: boolean): void => {
    this.unanswered = 0;
    if (!this.out.isOpen) return;
    if (isBinary) {
      this.fail(notJson);
      return;
    }
    // One buffer: nobody asks for fragments.
    const text = (data as Buffer).toString("utf8");
    const frame = objectIn(text);
    if (frame) void this.work(frame, text.length);
    else this.fail(notJson);
  };

  private async work(frame: Frame, bytes: number): Promise<void> {
    this.count(1, bytes);
    try {
      await this.channel?.receive(frame);
      // Whoever asks and does not read the answers is not listened to.
      await this.out.room();
    } catch (error) {
      this.fail(error, idOf(frame));
    } finally {
      this.count(-1, -bytes);
    }
  }

  private count(frames: number, bytes: number): void {
    this.inWork += frames;
    this.inWorkBytes += bytes;
    const tooMuch = this.inWork >= maxInWork || this.inWorkBytes >= maxInWorkBytes;
    if (tooMuch === this.socket.isPaused) return;
    if (tooMuch) this.socket.pause();
    else this.socket.resume();
  }
}

const ignore = (): void => undefined;

const notJson = new BadFrame([violation("frame", "must be text: one JSON object")]);

/** The correlation text of a frame, if it has one that can be repeated. */
export const idOf = ({ id }: Frame): string | undefined =>
  typeof id === "string" && id !== "" && id.length <= maxIdLength ? id : undefined;

function objectIn(text: string): Frame | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Frame)
      : undefined;
  } catch {
    // Told by the caller.
    return undefined;
  }
}
