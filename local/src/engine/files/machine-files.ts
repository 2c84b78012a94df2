/** Files of a machine, by small programs that run inside it: no path of the machine is ever opened on the host. */
import { buffer } from "node:stream/consumers";
import { Readable } from "node:stream";
import { Refusal } from "../control-plane";
import type { FileChange, FileMatch, FileOptions, FileRecord, Files } from "./api";
import { parseEntries } from "./entry";
import { parseMatches, parsePaths } from "./matches";
import { checkMode, checkPath, checkPattern, quoted } from "./path";
import { FilePrograms, type FilesHost, type Job } from "./program";
import { openContent } from "./reading";
import { isBinary, replaceText } from "./replace";
import { makeFolderScript, permissionsScript, removeScript, renameScript } from "./shell-changing";
import { findScript, listScript, readScript, searchScript, statScript } from "./shell-reading";
import { unpackScript, writeScript } from "./shell-writing";
import { vetTar } from "./vet-tar";
import { watchFolder } from "./watch/watch-folder";

export type { FilesHost } from "./program";

/** An answer has no place to say that it was cut, so a larger folder is refused. */
const maxEntries = 50_000;
const maxDepth = 1000;
/** Larger files are skipped by `replace`, which holds one in memory. */
const maxReplaceBytes = 32 * 1_048_576;
const maxReplaceFiles = 1000;

export class MachineFiles implements Files {
  private readonly programs: FilePrograms;

  constructor(private readonly host: FilesHost) {
    this.programs = new FilePrograms(host);
  }

  async stat(id: string, path: string, options: FileOptions): Promise<FileRecord> {
    return entry(await this.run(id, { verb: "look at", script: statScript, path }, options), path);
  }

  async exists(id: string, path: string, options: FileOptions): Promise<boolean> {
    try {
      await this.stat(id, path, options);
      return true;
    } catch (error) {
      if (error instanceof Refusal && error.code === "file_not_found") return false;
      throw error;
    }
  }

  async list(id: string, path: string, options: FileOptions & { depth?: number }): Promise<FileRecord[]> {
    const depth = Math.min(options.depth ?? 1, maxDepth);
    if (!Number.isInteger(depth) || depth < 1) {
      throw new Refusal("invalid_argument", "the depth must be a whole number from 1");
    }
    const job = { verb: "list", script: listScript, path, more: [String(depth)] };
    const entries = parseEntries(await this.run(id, job, options));
    if (entries.length > maxEntries) {
      const words = `it has more than ${String(maxEntries)} entries; list less of it`;
      throw new Refusal("file_refused", `cannot list ${quoted(path)}: ${words}`);
    }
    return entries.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  }

  async read(id: string, path: string, options: FileOptions): Promise<{ size: number; content: Readable }> {
    const job = jobOf({ verb: "read", script: readScript, path });
    return openContent(await this.programs.stream(id, job, options), path);
  }

  async write(
    id: string,
    path: string,
    content: Readable,
    options: FileOptions & { exclusive?: boolean },
  ): Promise<FileRecord> {
    const more = [options.exclusive === true ? "exclusive" : "replace"];
    const job = jobOf({ verb: "write", script: writeScript, path, more });
    return entry(await this.programs.take(id, job, content, options), path);
  }

  async unpack(
    id: string,
    path: string,
    archive: Readable,
    options: FileOptions & { conflict: "error" | "merge" | "replace" },
  ): Promise<{ files: number; bytes: number }> {
    const job = jobOf({ verb: "unpack an archive to", script: unpackScript, path, more: [options.conflict] });
    const vetted = vetTar();
    // It may fail before anybody listens; whoever reads it then is told.
    vetted.stream.on("error", () => undefined);
    archive.once("error", (error) => vetted.stream.destroy(error));
    archive.once("close", () => {
      if (!archive.readableEnded) vetted.stream.destroy(new Error("the archive was not sent to its end"));
    });
    try {
      await this.programs.take(id, job, archive.pipe(vetted.stream), options);
    } finally {
      archive.unpipe(vetted.stream);
      vetted.stream.destroy();
    }
    return vetted.counts();
  }

  async remove(id: string, path: string, options: FileOptions): Promise<void> {
    await this.run(id, { verb: "remove", script: removeScript, path }, options);
  }

  async rename(id: string, from: string, to: string, options: FileOptions): Promise<FileRecord> {
    const job = { verb: "rename", script: renameScript, path: from, more: [checkPath(to)] };
    return entry(await this.run(id, job, options), to);
  }

  async makeFolder(id: string, path: string, options: FileOptions): Promise<void> {
    await this.run(id, { verb: "make the folder", script: makeFolderScript, path }, options);
  }

  async setPermissions(id: string, path: string, permissions: string, options: FileOptions): Promise<void> {
    const more = [checkMode(permissions)];
    await this.run(id, { verb: "change the permissions of", script: permissionsScript, path, more }, options);
  }

  async find(id: string, path: string, pattern: string, options: FileOptions): Promise<FileMatch[]> {
    const job = { verb: "search in", script: findScript, path, more: [checkPattern(pattern)] };
    return parseMatches(await this.run(id, job, options), path);
  }

  async search(id: string, path: string, pattern: string, options: FileOptions): Promise<string[]> {
    if (pattern.includes("/")) {
      throw new Refusal("invalid_argument", `${quoted(pattern)} is compared with names, which have no "/"`);
    }
    const job = { verb: "search", script: searchScript, path, more: [checkPattern(pattern)] };
    return parsePaths(await this.run(id, job, options), path);
  }

  /** A file that changes between the reading and the writing of it loses that change. */
  async replace(
    id: string,
    files: readonly string[],
    pattern: string,
    replacement: string,
    options: FileOptions,
  ): Promise<{
    replacements: number;
    filesModified: number;
    filesSkipped: number;
    binaryFilesSkipped: number;
  }> {
    checkPattern(pattern);
    if (files.length > maxReplaceFiles) {
      throw new Refusal("invalid_argument", `more than ${String(maxReplaceFiles)} files: name fewer at once`);
    }
    for (const path of files) checkPath(path);
    const done = { replacements: 0, filesModified: 0, filesSkipped: 0, binaryFilesSkipped: 0 };
    for (const path of files) {
      const outcome = await this.replaceIn(id, path, { pattern, replacement }, options);
      if (outcome === "binary") done.binaryFilesSkipped++;
      else if (outcome === 0) done.filesSkipped++;
      else {
        done.replacements += outcome;
        done.filesModified++;
      }
    }
    return done;
  }

  /** How often it was replaced: 0 also in a file that is missing, refused or too large. */
  private async replaceIn(
    id: string,
    path: string,
    { pattern, replacement }: { pattern: string; replacement: string },
    options: FileOptions,
  ): Promise<number | "binary"> {
    try {
      const { size, content } = await this.read(id, path, options);
      if (size > maxReplaceBytes) {
        content.destroy();
        return 0;
      }
      const before = await buffer(content);
      if (isBinary(before)) return "binary";
      const after = replaceText(before, pattern, replacement);
      if (after.count > 0) await this.write(id, path, Readable.from([after.content]), options);
      return after.count;
    } catch (error) {
      if (error instanceof Refusal && ["file_not_found", "file_refused"].includes(error.code)) return 0;
      throw error;
    }
  }

  async watch(
    id: string,
    path: string,
    options: FileOptions & { recursive: boolean },
  ): Promise<AsyncIterable<FileChange>> {
    return watchFolder(this.programs, this.host.driver, { machineId: id, path: checkPath(path), options });
  }

  private async run(id: string, asked: Asked, options: FileOptions): Promise<Buffer> {
    return this.programs.output(id, jobOf(asked), options);
  }
}

type Asked = Pick<Job, "verb" | "script" | "path"> & { more?: readonly string[] };

const jobOf = ({ more = [], ...job }: Asked): Job => ({ ...job, args: [checkPath(job.path), ...more] });

function entry(output: Buffer, path: string): FileRecord {
  const [found] = parseEntries(output);
  if (found) return found;
  throw new Refusal("file_failed", `the machine's answer about ${quoted(path)} cannot be read`);
}
