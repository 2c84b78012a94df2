/**
 * Looks at every member of a tar archive on its way to a machine, and refuses what must not be unpacked: paths and links
 * that lead out of the folder, devices, hard links, and whatever two readers of tar might understand differently.
 */
import { Transform, type TransformCallback } from "node:stream";
import { Refusal } from "../control-plane";
import { quoted } from "./path";
import { blockBytes, ownersFolder, readBlock, readPax, type TarHeader } from "./tar-header";

/** Why an archive is refused, in `details.archive` of the refusal; `details.member` names the member. */
export type ArchiveFault = "invalid" | "invalid_path" | "invalid_symlink" | "unsupported_entry";

/** Largest extended header. */
const maxExtendedBytes = 1_048_576;
const padded = (size: number): number => Math.ceil(size / blockBytes) * blockBytes;

/**
 * The archive goes in and comes out as it was, but that every folder may be changed by its owner; or the stream fails with
 * a Refusal.
 */
export function vetTar(): { stream: Transform; counts(): { files: number; bytes: number } } {
  const vetter = new TarVetter();
  const guarded = (done: TransformCallback, look: () => Buffer | undefined): void => {
    let chunk: Buffer | undefined;
    try {
      chunk = look();
    } catch (error) {
      done(error as Error);
      return;
    }
    done(null, chunk);
  };
  const stream = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      guarded(done, () => vetter.push(chunk));
    },
    flush(done) {
      guarded(done, () => {
        vetter.end();
        return undefined;
      });
    },
  });
  return { stream, counts: () => ({ files: vetter.files, bytes: vetter.bytes }) };
}

export class TarVetter {
  /** Plain files and symbolic links. */
  files = 0;
  /** Of plain files. */
  bytes = 0;
  private held = Buffer.alloc(0);
  /** Bytes of the present member that are still to come, padding included. */
  private skip = 0;
  /** An extended header whose content is being collected. */
  private extended: { header: TarHeader; parts: Buffer[]; bytes: number } | undefined;
  /** What extended headers said of the next member. */
  private overrides = new Map<string, string>();
  private over = false;

  /** Answers what may go on. @throws Refusal file_refused */
  push(chunk: Buffer): Buffer {
    const vetted: Buffer[] = [];
    for (let at = 0; at < chunk.length;) {
      const rest = chunk.subarray(at);
      at += this.skip > 0 ? this.content(rest, vetted) : this.block(rest, vetted);
    }
    return vetted.length === 1 && vetted[0] ? vetted[0] : Buffer.concat(vetted);
  }

  /** @throws Refusal file_refused when it ends in the middle. */
  end(): void {
    if (this.skip > 0 || this.held.length > 0 || this.overrides.size > 0) {
      throw refused("invalid", "", "the archive is cut short");
    }
  }

  /** How many bytes it took; so for `block`. */
  private content(rest: Buffer, vetted: Buffer[]): number {
    const part = rest.subarray(0, this.skip);
    this.skip -= part.length;
    vetted.push(part);
    if (this.extended) {
      this.extended.parts.push(part);
      if (this.skip === 0) this.extendedEnds(this.extended);
    }
    return part.length;
  }

  private block(rest: Buffer, vetted: Buffer[]): number {
    const part = rest.subarray(0, blockBytes - this.held.length);
    this.held = Buffer.concat([this.held, part]);
    if (this.held.length === blockBytes) {
      const block = this.held;
      this.held = Buffer.alloc(0);
      vetted.push(this.header(block) === "5" ? ownersFolder(block) : block);
    }
    return part.length;
  }

  /** The type of what begins; none at the archive's end. */
  private header(block: Buffer): string | undefined {
    const found = readBlock(block);
    if (found.kind === "broken") throw refused("invalid", "", found.why);
    if (found.kind === "end") {
      this.over = true;
      return undefined;
    }
    // Some readers stop at the first empty block, others go on.
    if (this.over) throw refused("invalid", "", "something follows the end of the archive");
    const { header } = found;
    if (["x", "g", "L", "K"].includes(header.type)) {
      if (header.size > maxExtendedBytes)
        throw refused("invalid", "", "an extended header is larger than 1 MiB");
      this.extended = { header, parts: [], bytes: header.size };
      this.skip = padded(header.size);
      if (this.skip === 0) this.extendedEnds(this.extended);
    } else this.member(header);
    return header.type;
  }

  private extendedEnds({ header, parts, bytes }: NonNullable<TarVetter["extended"]>): void {
    this.extended = undefined;
    const content = Buffer.concat(parts).subarray(0, bytes);
    if (header.type === "L" || header.type === "K") {
      const name = content.toString("latin1").replace(/\0[^]*$/, "");
      this.overrides.set(header.type === "L" ? "path" : "linkpath", name);
      return;
    }
    const records = readPax(content);
    if (!records) throw refused("invalid", "", "an extended header cannot be read");
    for (const [key, value] of records) {
      if (key.startsWith("GNU.sparse.")) throw refused("unsupported_entry", "", "it holds a sparse file");
      if (!["path", "linkpath", "size"].includes(key)) continue;
      if (header.type === "g") throw refused("invalid", "", `a global header sets "${key}"`);
      this.overrides.set(key, value);
    }
  }

  private member(header: TarHeader): void {
    const name = this.overrides.get("path") ?? header.name;
    const link = this.overrides.get("linkpath") ?? header.linkName;
    const given = this.overrides.get("size");
    if (given !== undefined && !/^\d{1,15}$/.test(given))
      throw refused("invalid", name, "its size cannot be read");
    const size = given === undefined ? header.size : Number(given);
    this.overrides = new Map();
    checkName(name);
    switch (header.type) {
      case "0":
        this.files++;
        this.bytes += size;
        this.skip = padded(size);
        return;
      case "2":
        checkLink(name, link);
        this.files++;
        break;
      case "5":
        break;
      default:
        throw refused("unsupported_entry", name, "only files, folders and symbolic links can be unpacked");
    }
    // Readers differ in whether they skip content that no folder or link has.
    if (size !== 0) throw refused("invalid", name, "it has content and is no file");
  }
}

function checkName(name: string): void {
  const parts = name.split("/");
  if (name === "" || name.startsWith("/") || name.includes("\0") || parts.includes("..")) {
    throw refused("invalid_path", name, "its path leads out of the folder");
  }
}

/** By its text alone, as the vendor's client checks it; what it leads through is not followed while unpacking. */
function checkLink(name: string, target: string): void {
  let depth = 0;
  const inside = name.split("/").filter((part) => part !== "" && part !== ".");
  for (const part of [...inside.slice(0, -1), ...target.split("/")]) {
    if (part === "" || part === ".") continue;
    depth += part === ".." ? -1 : 1;
    if (depth < 0) break;
  }
  if (target === "" || target.startsWith("/") || target.includes("\0") || depth < 0) {
    throw refused("invalid_symlink", name, "its target leads out of the folder");
  }
}

function refused(archive: ArchiveFault, name: string, why: string): Refusal {
  const member = Buffer.from(name, "latin1").toString("utf8");
  const where = member === "" ? "the tar archive" : `the tar archive's member ${quoted(member)}`;
  return new Refusal("file_refused", `${where} is refused: ${why}`, { details: { archive, member } });
}
