/** Server-sent events: bytes to events, with a watch on silence and a limit on size. Knows nothing of machines. */
import type { Readable } from "node:stream";
import { createParser, type EventSourceMessage, type EventSourceParser } from "eventsource-parser";
import { ConnectionError, ProtocolError } from "./errors";

/**
 * One event: `event` is its name, `id` where to resume after it, `data` its text; the first two are undefined where the
 * server gives none.
 */
export type ServerEvent = EventSourceMessage;

export const sseDefaults = {
  /** No byte, not even a comment, for this long: the stream counts as dead. */
  silenceMs: 45_000,
  maxEventChars: 1024 * 1024,
} as const;

const carriageReturn = 0x0d;

/** Bytes in, whole events out. An event that the stream cuts off is dropped, as the standard says. */
export class EventDecoder {
  private readonly text = new TextDecoder();
  private readonly parser: EventSourceParser;
  private ready: ServerEvent[] = [];
  private tooLarge = false;
  private endsInCarriageReturn = false;

  /** @param maxEventChars past it, `push` throws ProtocolError `event_too_large` */
  constructor(private readonly maxEventChars: number = sseDefaults.maxEventChars) {
    this.parser = createParser({
      maxBufferSize: maxEventChars,
      onEvent: (event) => {
        if (event.data.length > maxEventChars) this.tooLarge = true;
        else if (!this.tooLarge) this.ready.push(event);
      },
      onError: (error) => {
        if (error.type === "max-buffer-size-exceeded") this.tooLarge = true;
      },
    });
  }

  push(bytes: Uint8Array): ServerEvent[] {
    return this.feed(this.text.decode(bytes, { stream: true }));
  }

  /** The stream is over: what a last carriage return completed is still an event. */
  end(): ServerEvent[] {
    return this.feed(this.endsInCarriageReturn ? "\n" : "");
  }

  private feed(text: string): ServerEvent[] {
    if (text !== "" && !this.tooLarge) {
      this.parser.feed(text);
      this.endsInCarriageReturn = text.charCodeAt(text.length - 1) === carriageReturn;
    }
    // What came whole before the oversized event is still handed on; the error follows it.
    if (this.tooLarge && this.ready.length === 0) throw tooLargeError(this.maxEventChars);
    const events = this.ready;
    if (events.length > 0) this.ready = [];
    return events;
  }
}

const tooLargeError = (limit: number): ProtocolError =>
  new ProtocolError({
    message: `an event of the stream is larger than ${String(limit)} characters`,
    code: "event_too_large",
  });

export interface EventStreamOptions {
  /** Asked anew before each wait, in milliseconds; default 45000. */
  silenceMs?: () => number;
  maxEventChars?: number;
}

/**
 * The events of a body, as many at a time as arrived together; an empty list for bytes that complete none, such as a
 * heartbeat. Ends when the body ends: whether that is good is the reader's to judge.
 * @throws ConnectionError `stream_silent` · ProtocolError `event_too_large` · what the body raises when it is cut
 */
export async function* readEventBatches(
  body: Readable,
  options: EventStreamOptions = {},
): AsyncGenerator<ServerEvent[], void> {
  const silenceMs = options.silenceMs ?? (() => sseDefaults.silenceMs);
  const decoder = new EventDecoder(options.maxEventChars);
  const chunks = (body as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
  // One timer for all waits, started again by each: a new one a piece would cost as much as the parsing.
  let limitMs = silenceMs();
  let isWaiting = false;
  const watch = () =>
    setTimeout(() => {
      // A reader that takes its time is not the server's silence.
      if (isWaiting) body.destroy(silentError(limitMs));
    }, limitMs);
  let watchdog = watch();
  try {
    for (;;) {
      const wantedMs = silenceMs();
      if (wantedMs === limitMs) watchdog.refresh();
      else {
        clearTimeout(watchdog);
        limitMs = wantedMs;
        watchdog = watch();
      }
      isWaiting = true;
      const next = await chunks.next();
      isWaiting = false;
      if (next.done) break;
      yield decoder.push(next.value);
    }
    const last = decoder.end();
    if (last.length > 0) yield last;
  } finally {
    clearTimeout(watchdog);
    body.destroy();
  }
}

const silentError = (limitMs: number): ConnectionError =>
  new ConnectionError({
    message: `the stream was silent for ${String(limitMs)} ms`,
    code: "stream_silent",
    retryable: true,
  });

/** The same, one event at a time. */
export async function* readEvents(
  body: Readable,
  options?: EventStreamOptions,
): AsyncGenerator<ServerEvent, void> {
  for await (const batch of readEventBatches(body, options)) yield* batch;
}
