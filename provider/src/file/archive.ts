/** A folder of files in a machine: unpacked in one go, compared and removed file by file. */
import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, posix } from "node:path";
import { create } from "tar";
import type { Context } from "../context";
import { RefusedError } from "../controlplane/port";
import type { Source } from "./args";
import { archiveHash, fileHash, isExecutable, type ArchiveFile } from "./hash";

type Entry = Extract<Source, { kind: "archive" }>["entries"][number];

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
    for (const entry of entries) {
      const content = "text" in entry ? Buffer.from(entry.text) : await readFile(entry.path);
      const mode = "text" in entry ? 0o644 : (await stat(entry.path)).mode & 0o777;
      const copy = join(folder, entry.name);
      await mkdir(dirname(copy), { recursive: true });
      await writeFile(copy, content);
      await chmod(copy, mode);
      found.push({ name: entry.name, hash: fileHash(content), executable: isExecutable(mode) });
      size += content.length;
    }
    // A name that begins with "@" would be taken for an archive to be read.
    const names = (await readdir(folder)).map((name) => `./${name}`);
    const chunks: Buffer[] = [];
    if (names.length > 0) {
      for await (const chunk of create({ cwd: folder, portable: true }, names)) chunks.push(chunk);
    }
    const files = Object.fromEntries(found.map(({ name, hash }) => [name, hash]));
    return { tar: Buffer.concat(chunks), files, size, hash: archiveHash(found) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Puts the files below `folder`; what else is there stays. Needs sh and tar in the machine. */
export async function unpack(
  context: Context,
  machineId: string,
  folder: string,
  tar: Buffer,
): Promise<void> {
  // Nothing in it: only the folder is made.
  if (tar.length === 0) return void (await script(context, machineId, 'mkdir -p -- "$1"', [folder]));
  const { controlPlane, signal } = context;
  const draft = `/tmp/pulumi-machines-${createHash("sha256").update(context.newKey()).digest("hex").slice(0, 12)}.tar`;
  await controlPlane.files.write(machineId, draft, tar, { signal, mode: 0o600 });
  try {
    await script(context, machineId, 'mkdir -p -- "$1" && tar -xf "$2" -C "$1" --no-same-owner', [
      folder,
      draft,
    ]);
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
  const text = `[ -d "$1" ] || exit ${String(isMissing)}; cd -- "$1" && xargs -0 sha256sum -- 2>/dev/null || true`;
  const { stdout } = await script(
    context,
    machineId,
    text,
    [folder],
    names.map((name) => `${name}\0`).join(""),
  );
  const found = stdout.split("\n").flatMap((line) => {
    const [, hash, name] = /^([0-9a-f]{64}) [ *](.*)$/.exec(line) ?? [];
    return hash !== undefined && name !== undefined ? [[name, hash] as const] : [];
  });
  return Object.fromEntries(found);
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
  const text =
    `[ -d "$1" ] || exit ${String(isMissing)}; cd -- "$1" && xargs -0 sh -c 'for name do if [ -d "$name" ]; ` +
    `then rmdir -- "$name" 2>/dev/null; else rm -f -- "$name"; fi; done; true' sh; cd / && rmdir -- "$1" 2>/dev/null; true`;
  await script(
    context,
    machineId,
    text,
    [folder],
    [...names, ...deepestFirst].map((name) => `./${name}\0`).join(""),
  );
}

function foldersOf(name: string): string[] {
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
  if (outcome.exitCode === 0 || outcome.exitCode === isMissing) return outcome;
  const why = outcome.stderr.trim().slice(-500) || `exit code ${String(outcome.exitCode)}`;
  throw new RefusedError(`machine ${machineId}: ${why}`, { code: "file_failed", retryable: false });
}
