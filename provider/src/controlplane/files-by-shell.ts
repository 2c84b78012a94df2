/**
 * Files of machines over commands alone, for backends without a file API. Paths are arguments of constant scripts, never a
 * part of their text, and content travels as base64: any name and any bytes work. Needs sh, base64 and sha256sum in the machine.
 */
import { createHash, randomUUID } from "node:crypto";
import { posix } from "node:path";
import type { CommandOutcome, CommandPort } from "./command-port";
import type { FileAttributes, FilePort } from "./file-port";
import { MachineGoneError, RefusedError, type CallOptions } from "./port";

/** Of content in one command; as base64 in JSON it stays well below a request of 1 MiB. */
const writeChunkBytes = 384 * 1024;
/** Of content in one answer; as base64 it stays below what a service keeps of an output. */
const readChunkBytes = 2 * 1024 * 1024;
/** For a hash of a large file, or the removal of many. */
const commandTimeoutMs = 600_000;
/** A file that changes while it is read is read again, so often. */
const maxReads = 3;

/** Exit codes of the scripts that are no failures of a tool. */
const isFolder = 65;
const isMissing = 66;
const isDamaged = 67;

// Of a write: $1 is the file, $2 its folder, $3 the draft beside it, $4 the hash, $5 the mode.
const notFolder = `[ ! -d "$1" ] || exit ${String(isFolder)}; `;
// With a mode to come nobody else reads the draft meanwhile.
const prepare = `${notFolder}mkdir -p -- "$2" && { [ -z "$5" ] || umask 077; } && : > "$3"`;
const append = `base64 -d >> "$3"`;
const publish =
  `[ "$(sha256sum < "$3" | cut -c1-64)" = "$4" ] || exit ${String(isDamaged)}; ` +
  `[ -z "$5" ] || chmod -- "$5" "$3" || exit; ${notFolder}mv -f -- "$3" "$1"`;
// Of the rest: $1 is the file.
const look = `[ -e "$1" ] || exit ${String(isMissing)}; ${notFolder}`;
const hashOf = `${look}sha256sum < "$1" | cut -c1-64`;
const readPart = `${look}tail -c "+$2" < "$1" | head -c "$3" | base64`;
const removeAll = `rm -rf -- "$1"`;

export class FilesByShell implements FilePort {
  constructor(
    private readonly commands: Pick<CommandPort, "run">,
    private readonly newKey: () => string = randomUUID,
  ) {}

  async write(
    machineId: string,
    path: string,
    content: Uint8Array,
    { signal, mode }: CallOptions & FileAttributes,
  ): Promise<void> {
    const target = named(path);
    const draft = `${target}.${this.newKey().slice(0, 8)}.part`;
    const hash = createHash("sha256").update(content).digest("hex");
    const words = [target, posix.dirname(target), draft, hash, mode === undefined ? "" : mode.toString(8)];
    const run = (script: string, stdin = "") =>
      this.must(machineId, `write ${path}`, { script, words, stdin }, signal);
    const chunk = (at: number): string =>
      Buffer.from(content.subarray(at, at + writeChunkBytes)).toString("base64");
    try {
      if (content.length <= writeChunkBytes) {
        await run(`{ ${prepare} && ${append}; } || exit; ${publish}`, chunk(0));
        return;
      }
      await run(prepare);
      for (let at = 0; at < content.length; at += writeChunkBytes) await run(append, chunk(at));
      await run(publish);
    } catch (error) {
      // A machine that is gone, or a signal that has ended the call, leaves nothing to tidy up with.
      if (!signal.aborted) await this.remove(machineId, draft, { signal }).catch(() => undefined);
      throw error;
    }
  }

  async read(machineId: string, path: string, { signal }: CallOptions): Promise<Uint8Array | undefined> {
    for (let reads = 0; reads < maxReads; reads += 1) {
      const wanted = await this.hash(machineId, path, { signal });
      if (wanted === undefined) return undefined;
      const content = await this.readOnce(machineId, path, signal);
      if (createHash("sha256").update(content).digest("hex") === wanted) return content;
    }
    throw failed(machineId, `read ${path}`, "it changes while it is read", { retryable: true });
  }

  async hash(machineId: string, path: string, { signal }: CallOptions): Promise<string | undefined> {
    const step = { script: hashOf, words: [named(path)], mayMiss: true };
    const hash = (await this.must(machineId, `read ${path}`, step, signal))?.stdout.trim();
    if (hash === undefined || /^[0-9a-f]{64}$/.test(hash)) return hash;
    throw failed(machineId, `read ${path}`, "sha256sum gave no hash");
  }

  async remove(machineId: string, path: string, { signal }: CallOptions): Promise<void> {
    try {
      await this.must(machineId, `remove ${path}`, { script: removeAll, words: [named(path)] }, signal);
    } catch (error) {
      if (!(error instanceof MachineGoneError)) throw error;
    }
  }

  private async readOnce(machineId: string, path: string, signal: AbortSignal): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let at = 1; ; at += readChunkBytes) {
      const step = {
        script: readPart,
        words: [named(path), String(at), String(readChunkBytes)],
        mayMiss: true,
      };
      const outcome = await this.must(machineId, `read ${path}`, step, signal);
      const part = Buffer.from(outcome?.stdout ?? "", "base64");
      parts.push(part);
      if (part.length < readChunkBytes) return Buffer.concat(parts);
    }
  }

  /** Undefined where the file is missing and may be. @throws RefusedError `file_failed` in the tools' own words */
  private async must(
    machineId: string,
    what: string,
    {
      script,
      words,
      stdin,
      mayMiss,
    }: { script: string; words: readonly string[]; stdin?: string; mayMiss?: boolean },
    signal: AbortSignal,
  ): Promise<CommandOutcome | undefined> {
    const outcome = await this.commands.run(
      machineId,
      {
        argv: ["sh", "-c", script, "sh", ...words],
        timeoutMs: commandTimeoutMs,
        ...(stdin === undefined ? {} : { stdin }),
      },
      { signal, idempotencyKey: this.newKey() },
    );
    if (outcome.exitCode === 0 && outcome.complete) return outcome;
    if (outcome.exitCode === isMissing && mayMiss) return undefined;
    throw failed(machineId, what, wordsOf(outcome));
  }
}

function wordsOf({ exitCode, stderr, timedOut, missing }: CommandOutcome): string {
  if (timedOut) return `it took longer than ${String(commandTimeoutMs / 1000)} s`;
  if (exitCode === isFolder) return "there is a folder of this name";
  if (exitCode === isDamaged) return "what arrived in the machine is not what was sent";
  if (exitCode === 0) return `${missing ?? "a part of the output"} was lost`;
  return stderr.trim().slice(-500) || `the shell ended with exit code ${String(exitCode)}`;
}

const failed = (
  machineId: string,
  what: string,
  why: string,
  { retryable } = { retryable: false },
): RefusedError =>
  new RefusedError(`machine ${machineId}: could not ${what}: ${why}`, { code: "file_failed", retryable });

/** A name that no tool takes for an option. */
const named = (path: string): string => (path.startsWith("/") ? path : `./${path}`);
