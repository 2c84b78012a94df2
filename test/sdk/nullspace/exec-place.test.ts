/** Where output goes on: frames that overlap or skip, and logs that have lost their beginning. */
import fc from "fast-check";
import { placeIn, type Received } from "../../../sdk/src/nullspace/exec-align";
import {
  OutputPosition,
  tailChars,
  type CommandOutput,
  type OutputGap,
} from "../../../sdk/src/nullspace/exec-output";

const utf8 = fc.string({ unit: "grapheme", maxLength: 60 }).map((text) => text.toWellFormed());

describe("frames", () => {
  const position = (): { at: OutputPosition; out: CommandOutput[]; gaps: OutputGap[] } => {
    const gaps: OutputGap[] = [];
    return { at: new OutputPosition("stdout", gaps), out: [], gaps };
  };

  test("any parts of a text, in any order: what is handed on is in its place, once, and what is missing is counted", () => {
    const parts = fc.array(fc.tuple(fc.nat(60), fc.nat(60)), { maxLength: 12 });
    fc.assert(
      fc.property(utf8, parts, (text, places) => {
        const characters = [...text];
        const { at, out, gaps } = position();
        for (const [a, b] of places) {
          const data = characters.slice(Math.min(a, b), Math.max(a, b)).join("");
          const offset = Buffer.byteLength(characters.slice(0, Math.min(a, b)).join(""));
          at.frame(data, offset, undefined, out);
        }
        const whole = Buffer.from(text);
        at.end(whole.length, out);
        let reached = 0;
        for (const piece of out) {
          expect(piece.offset).toBe(reached);
          const bytes = piece.kind === "gap" ? piece.bytes! : Buffer.byteLength(piece.data);
          if (piece.kind === "output")
            expect(whole.subarray(reached, reached + bytes).toString()).toBe(piece.data);
          reached += bytes;
        }
        expect(reached).toBe(whole.length);
        expect(gaps).toHaveLength(out.filter(({ kind }) => kind === "gap").length);
      }),
    );
  });

  test("that overlap where they cannot be cut lose what they add rather than repeat it", () => {
    const { at, out } = position();
    at.frame("ab", 0, 2, out);
    // Two bytes that were no UTF-8, shown as one replacement character of three.
    at.frame("b\ufffd", 1, 3, out);
    expect(out.at(-1)).toMatchObject({ kind: "gap", offset: 2, bytes: 2 });
    expect(at.bytes).toBe(4);
    at.skipped(3, 1, out);
    at.skipped(3, 4, out);
    expect(out.at(-1)).toMatchObject({ kind: "gap", offset: 4, bytes: 3 });
  });

  test("only the end of what was handed on is remembered, however much it is", () => {
    const { at, out } = position();
    for (let n = 0; n < 2_000; n++)
      at.frame(`line ${String(n)} ${"x".repeat(n % 300)}\n`, undefined, undefined, out);
    const all = out.map(({ data }) => data).join("");
    expect(at.tail()).toBe(all.slice(-tailChars));
    expect(at.chars).toBe(all.length);
  });
});

describe("logs", () => {
  /** Lines that are all different, so that a place in them is one place. */
  const lines = (count: number): string =>
    Array.from({ length: count }, (_, n) => `${String(n)} says é${String(n * 7919)}\n`).join("");
  const receivedOf = (text: string, isCounted: boolean): Received => ({
    bytes: isCounted ? Buffer.byteLength(text) : undefined,
    chars: undefined,
    tail: text.slice(-tailChars),
  });
  const marker = "[earlier output is gone]\n";

  test("with counts: the place is exact, and so is what is missing", () => {
    const counts = fc.record({
      total: fc.nat(80),
      read: fc.nat(80),
      dropped: fc.nat(80),
      marked: fc.boolean(),
    });
    fc.assert(
      fc.property(counts, ({ total, read, dropped, marked }) => {
        const [whole, had, gone] = [total, Math.min(read, total), Math.min(dropped, total)].map(lines) as [
          string,
          string,
          string,
        ];
        const head = marked && gone !== "" ? marker : "";
        const [totalBytes, droppedBytes] = [whole, gone].map((text) => Buffer.byteLength(text));
        const text = head + whole.slice(gone.length);
        const place = placeIn({ text, totalBytes, droppedBytes }, receivedOf(had, true));
        expect(text.slice(place.from)).toBe(whole.slice(Math.max(had.length, gone.length)));
        expect(place.missing).toBe(Math.max(0, Buffer.byteLength(gone) - Buffer.byteLength(had)));
      }),
    );
  });

  test("without counts: what is new is never repeated, and called whole only where it is", () => {
    const cuts = fc.record({
      total: fc.integer({ min: 1, max: 120 }),
      read: fc.nat(120),
      dropped: fc.nat(120),
      marked: fc.boolean(),
    });
    fc.assert(
      fc.property(cuts, ({ total, read, dropped, marked }) => {
        const whole = lines(total);
        const had = lines(Math.min(read, total));
        const gone = lines(Math.min(dropped, total));
        const head = marked && gone !== "" ? marker : "";
        const text = head + whole.slice(gone.length);
        const place = placeIn({ text }, receivedOf(had, false));
        const added = text.slice(place.from);
        // Nothing comes twice: what is added stands after all that was had, but for the log's own first line.
        expect(whole.slice(Math.max(had.length, gone.length)).endsWith(added.replace(marker, ""))).toBe(true);
        if (place.missing === 0) expect(had + added).toBe(whole);
      }),
      { numRuns: 500 },
    );
  });

  test("what nobody can know is said to be unknown, and nothing is repeated for it", () => {
    const nothing: Received = { bytes: 0, chars: undefined, tail: "" };
    expect(placeIn({ text: "all new" }, nothing)).toEqual({ from: 7, missing: undefined });
    // The same line again and again: which of them was the last one?
    const same = "tick\n".repeat(100);
    const place = placeIn({ text: same }, { bytes: undefined, chars: undefined, tail: "tick\n".repeat(30) });
    expect(place).toEqual({ from: same.length, missing: undefined });
    // Bytes that are no UTF-8 take more room as text: the counts do not fit, and the text decides.
    const broken = { text: "ab\ufffdcd", totalBytes: 5, droppedBytes: 0 };
    expect(placeIn(broken, { bytes: 3, chars: 3, tail: "ab\ufffd" })).toEqual({ from: 3, missing: 0 });
  });
});
