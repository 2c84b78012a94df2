import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pieceBytes, pieces, textBetween, wholeCharacters } from "../../../local/src/engine/output";

const dir = mkdtempSync(join(tmpdir(), "machines-output-"));
afterAll(() => {
  rmSync(dir, { recursive: true });
});

async function read(bytes: Uint8Array, ended: boolean, from = 0): Promise<{ text: string; to: number }> {
  const path = join(dir, "out");
  writeFileSync(path, bytes);
  let text = "";
  let to = from;
  for await (const piece of pieces(path, from, ended)) {
    expect(piece.from).toBe(to);
    text += await textBetween(path, piece.from, piece.to);
    to = piece.to;
  }
  return { text, to };
}

test("never cuts a character, at whatever byte the output stops for now", async () => {
  const whole = Buffer.from("a\u00e9\u20ac\u{1f600}z\u00ff\u{10ffff}!");
  for (let cut = 0; cut <= whole.length; cut++) {
    const first = await read(whole.subarray(0, cut), false);
    const rest = await read(whole, true, first.to);
    expect(first.text + rest.text).toBe(whole.toString());
    expect(first.text).not.toContain("\ufffd");
  }
});

test("gives back output larger than a piece, once and in order", async () => {
  const text = "\u20acuro ".repeat(pieceBytes / 3);
  expect(await read(Buffer.from(text), true)).toEqual({ text, to: Buffer.byteLength(text) });
});

test("passes broken UTF-8 on as U+FFFD, and what stays unfinished at the end too", async () => {
  expect((await read(Buffer.from([0x61, 0xff, 0x62, 0xe2, 0x82]), true)).text).toBe("a\ufffdb\ufffd");
  expect((await read(Buffer.from([0x80, 0x80, 0x80, 0x80, 0x80]), false)).to).toBe(5);
});

test("a file that is not there has no output", async () => {
  expect(await textBetween(join(dir, "none"), 0, 5)).toBe("");
});

test.each([
  [[0x61], 1],
  [[0xe2], 0],
  [[0xe2, 0x82], 0],
  [[0xe2, 0x82, 0xac], 3],
  [[0x61, 0xf0, 0x9f, 0x98], 1],
])("of %j, %i bytes are whole characters", (bytes, whole) => {
  expect(wholeCharacters(Uint8Array.from(bytes))).toBe(whole);
});
