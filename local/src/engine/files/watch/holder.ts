/**
 * A program that stands in a folder of a machine, and by that holds it open for us: the kernel's link /proc/PID/cwd leads to
 * that very folder, whatever names and symbolic links the machine changes meanwhile.
 */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { constants } from "node:fs";
import { type FileHandle, open, readFile, readlink } from "node:fs/promises";
import { Refusal } from "../../control-plane";
import { findByArguments } from "../../drivers/process-table";
import type { FileOptions } from "../api";
import { quoted } from "../path";
import type { FilePrograms, Running } from "../program";
import { commonScript, fileExit } from "../shell-common";

/**
 * Says where it stands, as it was told and in truth, each with NUL behind it, and waits for the end of its stdin. $3 is
 * what it is found by.
 */
const holdScript = `${commonScript}
abs "$1" "$2"
folder "$p"
cd -- "$p" || exit ${fileExit.noPermission}
real=$(pwd -P && echo .) || exit ${fileExit.failed}
printf '%s\\0%s\\0' "$p" "\${real%??}"
while read -r _; do :; done
`;

export interface HeldFolder {
  /** Absolute, in the machine. */
  path: string;
  /** The same without symbolic links. */
  realPath: Buffer;
  folder: FileHandle;
  holder: Running;
}

/**
 * Opens a folder of a machine for reading its names. `outside` is true where machines have mounts of their own.
 * @throws Refusal
 */
export async function holdFolder(
  programs: FilePrograms,
  asked: { machineId: string; path: string; outside: boolean },
  options: FileOptions,
): Promise<HeldFolder> {
  const token = randomUUID();
  const job = { verb: "watch", script: holdScript, path: asked.path, args: [asked.path, token] };
  const holder = await programs.hold(asked.machineId, job, options);
  try {
    const { path, realPath } = await place(holder);
    return { path, realPath, folder: await openPlace(token, asked), holder };
  } catch (error) {
    holder.program.kill();
    options.signal.throwIfAborted();
    throw error;
  }
}

async function place(holder: Running): Promise<{ path: string; realPath: Buffer }> {
  let said = Buffer.alloc(0);
  const { stdout } = holder.program;
  for await (const chunk of stdout.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    said = Buffer.concat([said, chunk]);
    const middle = said.indexOf(0);
    const end = said.indexOf(0, middle + 1);
    if (middle >= 0 && end >= 0) {
      return { path: said.toString("utf8", 0, middle), realPath: said.subarray(middle + 1, end) };
    }
  }
  await holder.done();
  throw new Refusal("file_failed", "the program that watches a folder ended at once");
}

async function openPlace(token: string, asked: { path: string; outside: boolean }): Promise<FileHandle> {
  for (const pid of findByArguments(token)) {
    if (!(await isHolder(pid, token, asked.outside))) continue;
    const folder = await open(`/proc/${String(pid)}/cwd`, constants.O_RDONLY | constants.O_DIRECTORY);
    // The pid may have got another process between the two looks; the token has not.
    if (await isHolder(pid, token, asked.outside)) return folder;
    await folder.close();
  }
  throw new Refusal(
    "file_failed",
    `cannot watch ${quoted(asked.path)}: this host does not let its folder be opened`,
  );
}

/** What starts a holder has the token, too, and does not stand in the machine. */
async function isHolder(pid: number, token: string, outside: boolean): Promise<boolean> {
  try {
    const argv = (await readFile(`/proc/${String(pid)}/cmdline`, "utf8")).split("\0");
    if (argv[1] !== "-c" || argv[2] !== holdScript || !argv.includes(token)) return false;
    return !outside || (await mountsOf(String(pid))) !== (await mountsOf("self"));
  } catch {
    return false; // it has just ended, or is another user's
  }
}

const mountsOf = (pid: string): Promise<string> => readlink(`/proc/${pid}/ns/mnt`);

/** Ends it, and waits until it has. */
export async function letGo({ folder, holder }: HeldFolder): Promise<void> {
  await folder.close().catch(() => undefined);
  holder.program.kill();
  await holder.program.exited.catch(() => undefined);
  if (!holder.program.stdout.destroyed) {
    holder.program.stdout.resume();
    await once(holder.program.stdout, "close").catch(() => undefined);
  }
}
