/** The blocks of 512 bytes that describe the members of a tar archive: ustar, pax and GNU long names. Pure. */

export const blockBytes = 512;

export interface TarHeader {
  /** The type's letter; "0" for a plain file. */
  type: string;
  name: string;
  linkName: string;
  /** Bytes of content that follow, not padded. */
  size: number;
}

export type BlockKind =
  { kind: "end" } | { kind: "member"; header: TarHeader } | { kind: "broken"; why: string };

/** Names are kept byte for byte, as latin1. */
const text = (block: Buffer, from: number, to: number): string => {
  const nul = block.indexOf(0, from);
  return block.toString("latin1", from, nul >= 0 && nul < to ? nul : to);
};

export function readBlock(block: Buffer): BlockKind {
  if (block.every((byte) => byte === 0)) return { kind: "end" };
  if (octal(block, 148, 156) !== checksumOf(block)) {
    return { kind: "broken", why: "a header's checksum is wrong: this is no tar archive" };
  }
  const size = octal(block, 124, 136);
  if (size === undefined) return { kind: "broken", why: "the size of a member cannot be read" };
  const flag = text(block, 156, 157);
  const name = text(block, 0, 100);
  // Only POSIX has a prefix; GNU keeps other things there.
  const prefix = block.toString("latin1", 257, 263) === "ustar\0" ? text(block, 345, 500) : "";
  const full = prefix === "" ? name : `${prefix}/${name}`;
  const type = flag === "" || flag === "7" ? "0" : flag;
  return {
    kind: "member",
    header: {
      type: type === "0" && full.endsWith("/") ? "5" : type,
      name: full,
      linkName: text(block, 157, 257),
      size,
    },
  };
}

/** All bytes together, those of the checksum itself as blanks. */
function checksumOf(block: Buffer): number {
  let sum = 8 * 0x20;
  for (const [at, byte] of block.entries()) if (at < 148 || at >= 156) sum += byte;
  return sum;
}

/**
 * The header of a folder that its owner may change. tar believes that root may do anything; the root of a machine has no
 * capabilities, and could not put anything into a folder that is read-only.
 */
export function ownersFolder(block: Buffer): Buffer {
  const mode = octal(block, 100, 108);
  if (mode === undefined) return block;
  const changed = Buffer.from(block);
  changed.write(`${(mode | 0o700).toString(8).padStart(7, "0")}\0`, 100, "latin1");
  changed.write(`${checksumOf(changed).toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return changed;
}

/** A number in octal digits, or in base 256 where its first bit says so. */
function octal(block: Buffer, from: number, to: number): number | undefined {
  const first = block[from] ?? 0;
  if (first === 0x80) {
    const big = BigInt(`0x${block.toString("hex", from + 1, to)}`);
    return big <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(big) : undefined;
  }
  const digits = text(block, from, to).trim();
  return /^[0-7]*$/.test(digits) ? Number.parseInt(digits || "0", 8) : undefined;
}

/** The records of a pax header, "LENGTH key=value\n" each; undefined when they cannot be read. */
export function readPax(content: Buffer): Map<string, string> | undefined {
  const records = new Map<string, string>();
  const all = content.toString("latin1");
  for (let at = 0; at < all.length;) {
    const [, length = ""] = /^(\d{1,10}) /.exec(all.slice(at, at + 11)) ?? [];
    const end = at + Number(length);
    const equals = all.indexOf("=", at);
    if (length === "" || end > all.length || equals < 0 || equals >= end || all[end - 1] !== "\n")
      return undefined;
    records.set(all.slice(at + length.length + 1, equals), all.slice(equals + 1, end - 1));
    at = end;
  }
  return records;
}
