import { Readable } from "node:stream";
import { ConnectionError, ProtocolError } from "../../sdk/src/errors";
import { EventDecoder, readEventBatches, readEvents, type ServerEvent } from "../../sdk/src/sse";

const script =
  ": hello\n\n" +
  'event: status\nid: 41\ndata: {"reason":"größer 🚀 als"}\n\n' +
  "event: bookmark\nid: 42\ndata: {}\n\n" +
  ": heartbeat\n\nretry: 5\nsurprise: field\n" +
  "event: status\nid: 43\ndata: first\ndata:second\n\n" +
  "data: no name\n\n" +
  "event: status\ndata: cut off";
const expected: ServerEvent[] = [
  { event: "status", id: "41", data: '{"reason":"größer 🚀 als"}' },
  { event: "bookmark", id: "42", data: "{}" },
  { event: "status", id: "43", data: "first\nsecond" },
  { event: undefined, id: undefined, data: "no name" },
];

function decode(pieces: Uint8Array[]): ServerEvent[] {
  const decoder = new EventDecoder();
  return [...pieces.flatMap((piece) => decoder.push(piece)), ...decoder.end()];
}

describe.each([
  ["\\n", "\n"],
  ["\\r\\n", "\r\n"],
  ["\\r", "\r"],
])("with lines that end in %s", (_name, end) => {
  const bytes = Buffer.from(script.replaceAll("\n", end));

  test("every split in two gives the same events", () => {
    for (let at = 0; at <= bytes.length; at++) {
      expect(decode([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(expected);
    }
  });

  test("byte by byte gives the same events", () => {
    expect(decode([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(expected);
  });

  test("a cut at any byte gives the first events, whole, and nothing else", () => {
    for (let at = 0; at <= bytes.length; at++) {
      const events = decode([bytes.subarray(0, at)]);
      expect(events).toEqual(expected.slice(0, events.length));
    }
  });
});

test("a last event whose blank line is a carriage return is not lost at the end", () => {
  expect(decode([Buffer.from("data: x\r\n\r")])).toHaveLength(1);
  expect(decode([Buffer.from("data: x\r\n")])).toHaveLength(0);
});

test.each([
  ["in one piece", ["data: " + "x".repeat(2_000) + "\n\n"]],
  ["in small pieces that never end", Array.from({ length: 300 }, () => "data: 1234\n")],
])("an event over the limit %s is a named error", (_name, pieces) => {
  const decoder = new EventDecoder(1_000);
  const push = () => pieces.forEach((piece) => decoder.push(Buffer.from(piece)));
  expect(push).toThrow(ProtocolError);
  expect(push).toThrow(expect.objectContaining({ code: "event_too_large" }) as Error);
});

test("the end of the stream is no error", async () => {
  const seen: ServerEvent[] = [];
  for await (const event of readEvents(Readable.from([Buffer.from(script)]))) seen.push(event);
  expect(seen).toEqual(expected);
});

test("a heartbeat is an empty batch", async () => {
  const sizes: number[] = [];
  const body = Readable.from([Buffer.from(": beat\n\n"), Buffer.from("data: 1\n\ndata: 2\n\n")]);
  for await (const batch of readEventBatches(body)) sizes.push(batch.length);
  expect(sizes).toEqual([0, 2]);
});

test("silence is a named error and ends the body", async () => {
  const body = new Readable({ read: () => undefined });
  body.push("data: 1\n\n");
  const events = readEvents(body, { silenceMs: () => 20 });
  await expect(events.next()).resolves.toMatchObject({ value: { data: "1" } });
  const failure = events.next();
  await expect(failure).rejects.toBeInstanceOf(ConnectionError);
  await expect(failure).rejects.toMatchObject({ code: "stream_silent", retryable: true });
  expect(body.destroyed).toBe(true);
});

test("a slow reader is not taken for a silent server", async () => {
  const body = Readable.from([Buffer.from("data: 1\n\n"), Buffer.from("data: 2\n\n")]);
  const events = readEvents(body, { silenceMs: () => 5 });
  await events.next();
  const until = performance.now() + 30;
  while (performance.now() < until) await new Promise(setImmediate);
  await expect(events.next()).resolves.toMatchObject({ value: { data: "2" } });
});

test("leaving the loop ends the body", async () => {
  const body = new Readable({ read: () => undefined });
  body.push("data: 1\n\n");
  for await (const _event of readEvents(body)) break;
  expect(body.destroyed).toBe(true);
});
