/** Events per second of the sdk's decoder and stream, against the parser that they are built on, on the same bytes. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { Readable } from "node:stream";
import { root } from "../../setup/node-modules.mjs";
import { measurement } from "../support/measurement.mjs";
import { count, median, times } from "../support/statistics.mjs";

const sdkRequire = createRequire(join(root, "sdk", "package.json"));
const { createParser } = sdkRequire("eventsource-parser");
const { EventDecoder, readEventBatches } = sdkRequire(join(root, "sdk/dist/sse.js"));

/** A status event as the control plane sends it. */
function eventText(revision) {
  const machine = {
    ...{ machine_id: "dm-01980f6e-4e6c-7aa0-93d0-0a5a4f3c2b1d", vcpu: 2, memory_mib: 4096, storage_gib: 10 },
    ...{ autosleep_seconds: 1800, desired_state: "running" },
    status: {
      ...{ phase: "starting", reason: "placed", retryable: false, revision: String(revision) },
      ...{ last_transition_at: "2026-01-02T03:04:05.678Z", last_progress_at: "2026-01-02T03:04:05.678Z" },
    },
  };
  return `event: status\nid: ${String(revision)}\ndata: ${JSON.stringify(machine)}\n\n`;
}

const events = (howMany) => Array.from({ length: howMany }, (_, index) => Buffer.from(eventText(index + 1)));

function inPieces(bytes, size) {
  const pieces = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}

function parserAlone(pieces) {
  let seen = 0;
  const parser = createParser({ onEvent: () => seen++ });
  const text = new TextDecoder();
  for (const piece of pieces) parser.feed(text.decode(piece, { stream: true }));
  return seen;
}

function decoder(pieces) {
  let seen = 0;
  const decode = new EventDecoder();
  for (const piece of pieces) seen += decode.push(piece).length;
  return seen + decode.end().length;
}

/** A body as it comes from the network: pieces of bytes, no objects. */
const body = (pieces) => Readable.from(pieces, { objectMode: false });

async function parserOnStream(pieces) {
  let seen = 0;
  const parser = createParser({ onEvent: () => seen++ });
  const text = new TextDecoder();
  for await (const piece of body(pieces)) parser.feed(text.decode(piece, { stream: true }));
  return seen;
}

async function eventStream(pieces) {
  let seen = 0;
  for await (const batch of readEventBatches(body(pieces))) seen += batch.length;
  return seen;
}

/** Both by turns, so that what disturbs one disturbs the other; the ratio is the median of the rounds'. */
async function compare(pieces, howMany, { ours, peer, rounds }) {
  const rate = async (read) => {
    globalThis.gc();
    const startedAt = performance.now();
    const seen = await read(pieces);
    const perSecond = (howMany * 1000) / (performance.now() - startedAt);
    if (seen !== howMany) throw new Error(`${read.name} saw ${String(seen)} of ${String(howMany)} events`);
    return perSecond;
  };
  const seen = { ours: [], peer: [], ratio: [] };
  for (let round = 0; round < rounds + 3; round++) {
    const oursFirst = round % 2 === 0;
    const first = await rate(oursFirst ? ours : peer);
    const second = await rate(oursFirst ? peer : ours);
    if (round < 3) continue; // The compiler is still at it.
    const [our, their] = oursFirst ? [first, second] : [second, first];
    seen.ours.push(our);
    seen.peer.push(their);
    seen.ratio.push(our / their);
  }
  return { ours: median(seen.ours), peer: median(seen.peer), ratio: median(seen.ratio) };
}

await measurement(async ({ quick, say }) => {
  const howMany = quick ? 20_000 : 100_000;
  const rounds = quick ? 5 : 11;
  const single = events(howMany);
  const whole = inPieces(Buffer.concat(single), 65_536);
  const cases = [
    { what: "EventDecoder, pieces of 64 KiB", pieces: whole, ours: decoder, peer: parserAlone },
    { what: "EventDecoder, one event a piece", pieces: single, ours: decoder, peer: parserAlone },
    {
      what: "the whole event stream over a Readable, pieces of 64 KiB",
      ...{ pieces: whole, ours: eventStream, peer: parserOnStream, on: "on the same Readable" },
    },
    {
      what: "the whole event stream over a Readable, one event a piece",
      ...{ pieces: single, ours: eventStream, peer: parserOnStream, on: "on the same Readable" },
    },
  ];
  const rows = [];
  for (const { what, pieces, ours, peer, on = "alone" } of cases) {
    const result = await compare(pieces, howMany, { ours, peer, rounds });
    say(`${what}: ${count(result.ours)}/s against ${count(result.peer)}/s`);
    rows.push({
      what,
      ours: `${count(result.ours)} events/s`,
      peer: `eventsource-parser ${on}: ${count(result.peer)} events/s`,
      ratio: times(result.ratio),
      goal: ">= 0.8",
      met: result.ratio >= 0.8,
    });
  }
  return {
    title: "Event streams: parsing",
    intro:
      `${count(howMany)} status events of ${String(single[0].length)} bytes, ${String(rounds)} rounds by turns; medians. ` +
      `The peer is \`eventsource-parser\` fed with what \`TextDecoder\` makes of the same bytes.`,
    rows,
    notes: [
      'The whole event stream adds the watch on silence, the limit on size and batches; "one event a piece" is how a quiet stream arrives.',
    ],
  };
});
