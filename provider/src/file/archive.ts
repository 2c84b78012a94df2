/** A folder of files in a machine: unpacked in one go, compared and removed file by file. */
import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, posix } from "node:path";
import { create } from "tar";
import type { Context } from "../context";
import type { CommandOutcome } from "../controlplane/command-port";
import { RefusedError } from "../controlplane/port";
import { contentsOf, type Entry } from "./entries";
import { archiveHash, type ArchiveFile } from "./hash";

/** Hashes by name, below the folder. */
export type Files = Record<string, string>;

/** Exit code of our own scripts: the folder is not there. */
const isMissing = 66;

export interface Packed {
  tar: Buffer;
  files: Files;
  /** Of all the files together, in bytes. */
  size: number;
  /** As the program computed it; see hash.ts. */
  hash: string;
}

/** The archive as one tar, and what is in it. */
export async function tarOf(entries: readonly Entry[]): Promise<Packed> {
  const folder = await mkdtemp(join(tmpdir(), "pulumi-machines-"));
  try {
    const found: ArchiveFile[] = [];
    let size = 0;
    for await (const { name, content, mode, hashed } of contentsOf(entries)) {
      const copy = join(folder, name);
      await mkdir(dirname(copy), { recursive: true });
      await writeFile(copy, content);
      await chmod(copy, mode);
      found.push(hashed);
      size += content.length;
    }
    // A name that begins with "@" would be taken for an archive to be read.
    const names = (await readdir(folder)).map((name) => `./${name}`);
    const chunks: Buffer[] = [];
    if (names.length > 0) {
      // One time for all: that of the copies says nothing.
      for await (const chunk of create({ cwd: folder, portable: true, mtime: new Date() }, names))
        chunks.push(chunk);
    }
    const files = Object.fromEntries(found.map(({ name, hash }) => [name, hash]));
    return { tar: Buffer.concat(chunks), files, size, hash: archiveHash(found) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Puts the files below `folder`, in place of a file there; what else is in it stays. Needs sh and tar in the machine. */
export async function unpack(
  context: Context,
  machineId: string,
  folder: string,
  tar: Buffer,
): Promise<void> {
  const make = '{ [ ! -f "$1" ] || rm -f -- "$1"; } && mkdir -p -- "$1"';
  // Nothing in it: only the folder is made.
  if (tar.length === 0) return void (await script(context, machineId, make, [folder]));
  const { controlPlane, signal } = context;
  const draft = `/tmp/pulumi-machines-${createHash("sha256").update(context.newKey()).digest("hex").slice(0, 12)}.tar`;
  await controlPlane.files.write(machineId, draft, tar, { signal, mode: 0o600 });
  try {
    const text = `${make} && tar -xf "$2" -C "$1" --no-same-owner`;
    await script(context, machineId, text, [folder, draft]);
  } finally {
    if (!signal.aborted) await controlPlane.files.remove(machineId, draft, { signal });
  }
}

/** The hashes of these files as they are in the machine; those that are not there are left out. */
export async function filesIn(
  context: Context,
  machineId: string,
  folder: string,
  names: readonly string[],
): Promise<Files> {
  // A tool that is missing must not look like files that are.
  const text =
    `sha256sum < /dev/null > /dev/null && xargs -0 true < /dev/null || exit; [ -d "$1" ] || exit ${String(isMissing)}; ` +
    `cd -- "$1" || exit; xargs -0 sha256sum -- 2>/dev/null; true`;
  const found: Files = {};
  for (const batch of batchesOf(names)) {
    const { stdout } = await script(context, machineId, text, [folder], batch);
    for (const line of stdout.split("\n")) {
      const [, hash, name] = /^([0-9a-f]{64}) [ *](.*)$/.exec(line) ?? [];
      if (hash !== undefined && name !== undefined) found[name] = hash;
    }
  }
  return found;
}

/** Removes these files, and the folders that are empty afterwards; the folder itself, too, when nothing is left. */
export async function removeFiles(
  context: Context,
  machineId: string,
  folder: string,
  names: readonly string[],
): Promise<void> {
  if (names.length === 0) return;
  const folders = new Set(names.flatMap(foldersOf));
  const deepestFirst = [...folders].sort((a, b) => b.length - a.length);
  // All at once; what is still there afterwards is a folder, or says why.
  const each =
    'rm -f -- "$@" 2>/dev/null; for name do if [ -d "$name" ]; then rmdir -- "$name" 2>/dev/null; ' +
    'elif [ -e "$name" ]; then rm -f -- "$name" || bad=yes; fi; done; [ -z "$bad" ]';
  const text =
    `[ -d "$1" ] || exit ${String(isMissing)}; cd -- "$1" && xargs -0 sh -c "$2" sh || exit; ` +
    `cd / && rmdir -- "$1" 2>/dev/null; true`;
  for (const batch of batchesOf([...names, ...deepestFirst].map((name) => `./${name}`)))
    await script(context, machineId, text, [folder, each], batch);
}

/** Names for one command's input; what it answers, a hash for each, stays below what services take and keep. */
const batchBytes = 256 * 1024;
const hashBytes = 70;

function batchesOf(names: readonly string[]): string[] {
  const batches: string[] = [];
  let bytes = Infinity;
  for (const name of names) {
    const more = Buffer.byteLength(name) + hashBytes;
    if (bytes + more > batchBytes) {
      batches.push("");
      bytes = 0;
    }
    batches[batches.length - 1] += `${name}\0`;
    bytes += more;
  }
  return batches;
}

/** Of one file, for the claims of a process; `name` is empty for one that is no part of an archive. */
export const placeOf = (machineId: string, path: string, name: string): string =>
  `file ${machineId} ${posix.join(path, name)}`;

export function foldersOf(name: string): string[] {
  const parent = posix.dirname(name);
  return parent === "." ? [] : [parent, ...foldersOf(parent)];
}

async function script(
  context: Context,
  machineId: string,
  text: string,
  words: readonly string[],
  stdin?: string,
): Promise<{ stdout: string }> {
  const { controlPlane, signal, deadline, clock } = context;
  const outcome = await controlPlane.commands.run(
    machineId,
    {
      argv: ["/bin/sh", "-c", text, "sh", ...words],
      timeoutMs: Math.max(1_000, Math.round(deadline - clock.now())),
      ...(stdin === undefined ? {} : { stdin }),
    },
    { signal, idempotencyKey: context.newKey() },
  );
  if ((outcome.exitCode === 0 && outcome.complete) || outcome.exitCode === isMissing) return outcome;
  const why = outcome.missing === undefined ? wordsOf(outcome) : `${outcome.missing} was lost`;
  throw new RefusedError(`machine ${machineId}: ${why}`, { code: "file_failed", retryable: false });
}

const wordsOf = ({ exitCode, stderr }: CommandOutcome): string =>
  stderr.trim().slice(-500) || `exit code ${String(exitCode)}`;
