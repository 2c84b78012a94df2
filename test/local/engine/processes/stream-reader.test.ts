/** One output file as it is read: every byte once, in pieces of whole characters, while it grows and after. */
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isUtf8 } from "node:buffer";
import fc from "fast-check";
import { StreamReader } from "../../../../local/src/engine/processes/stream-reader";

const folder = mkdtempSync(join(tmpdir(), "machines-stream-"));
const path = join(folder, "stdout");
const text = Buffer.from("aä€😀\n".repeat(40_000));

afterAll(() => rmSync(folder, { recursive: true }));

test.each([true, false])("comes whole however it grows (overwrites: %s)", async (overwrites) => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 300_000 }), { maxLength: 5 }), async (steps) => {
      writeFileSync(path, "");
      const reader = new StreamReader({ path: () => path, kept: () => 0 }, overwrites);
      const seen: Buffer[] = [];
      let at = 0;
      const take = async (end?: number): Promise<void> => {
        for (let piece = await reader.next(at, end); piece?.length; piece = await reader.next(at, end)) {
          expect(piece.length).toBeLessThanOrEqual(65_536);
          expect(isUtf8(piece)).toBe(true);
          seen.push(Buffer.from(piece));
          at += piece.length;
        }
      };
      let written = 0;
      for (const step of steps) {
        appendFileSync(path, text.subarray(written, written + step));
        written = Math.min(written + step, text.length);
        await take();
        expect(written - at).toBeLessThan(4);
      }
      appendFileSync(path, text.subarray(written));
      await take(text.length);
      reader.close();
      expect(Buffer.concat(seen).equals(text)).toBe(true);
    }),
    { numRuns: 30 },
  );
});

test("a character that is cut by the end comes as it is, and nothing that is written after the end", async () => {
  writeFileSync(path, text.subarray(0, 200_000));
  const reader = new StreamReader({ path: () => path, kept: () => 0 }, true);
  const end = 100_003;
  let at = 0;
  for (let piece = await reader.next(at, end); piece?.length; piece = await reader.next(at, end)) {
    expect(piece.equals(text.subarray(at, at + piece.length))).toBe(true);
    at += piece.length;
  }
  expect(at).toBe(end);
  reader.close();
});

test("what was dropped is told, a file that is gone has nothing", async () => {
  writeFileSync(path, text);
  let kept = 0;
  const reader = new StreamReader({ path: () => path, kept: () => kept }, false);
  const first = await reader.next(0, undefined);
  kept = 1_000_000;
  // What was read before is still good.
  let at = first?.length ?? 0;
  while (reader.hasMore) at += (await reader.next(at, undefined))?.length ?? 0;
  expect(await reader.next(at, undefined)).toBeUndefined();
  reader.close();
  const gone = new StreamReader({ path: () => join(folder, "none"), kept: () => 0 }, false);
  expect(await gone.next(0, undefined)).toHaveLength(0);
  gone.close();
});
