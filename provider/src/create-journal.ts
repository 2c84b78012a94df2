/**
 * The create journal on disk: one small file for each create, `<user state>/pulumi-machines/creates/<sha256>.json`,
 * mode 0600, written atomically. It holds sizes and ids, no secret.
 */
import { createHash, randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import type { CreateJournal, JournalEntry } from "./journal";

/** Entries that nothing has touched for this long are dropped. */
const keptDays = 400;

const entrySchema = z.object({
  key: z.string(),
  stackIdentity: z.string().optional(),
  urn: z.string().optional(),
  body: z
    .object({
      vcpu: z.number(),
      memoryMiB: z.number(),
      storageGiB: z.number(),
      autosleep: z.string().optional(),
    })
    .optional(),
  machineId: z.string().optional(),
  claim: z.string().optional(),
  superseded: z.array(z.string()).optional(),
  answered: z.boolean().optional(),
  recorded: z.boolean().optional(),
  gone: z.boolean().optional(),
});

/** `$XDG_STATE_HOME/pulumi-machines`, else `~/.local/state/pulumi-machines`. */
export function userStateFolder(env: NodeJS.ProcessEnv): string {
  // The XDG rules say that a relative path is to be ignored.
  const given = env.XDG_STATE_HOME;
  return join(given?.startsWith("/") ? given : join(homedir(), ".local", "state"), "pulumi-machines");
}

export class FileJournal implements CreateJournal {
  private pruned = false;
  constructor(private readonly folder: string) {}

  async find(key: string): Promise<JournalEntry | undefined> {
    return readEntry(this.fileOf(key));
  }

  async interrupted(stackIdentity: string): Promise<JournalEntry[]> {
    let names: string[];
    try {
      names = readdirSync(this.folder);
    } catch {
      // No create was ever made from here.
      return [];
    }
    const entries = names
      .filter((name) => name.endsWith(".json"))
      .map((name) => readEntry(join(this.folder, name)));
    return entries.filter(
      (entry) =>
        entry !== undefined &&
        entry.stackIdentity === stackIdentity &&
        !(entry.answered || entry.recorded || entry.gone),
    ) as JournalEntry[];
  }

  async write(entry: JournalEntry): Promise<void> {
    this.merge(entry);
  }

  /** The same as `write`, at once: the program uses it where it cannot wait. */
  merge(entry: JournalEntry): void {
    const file = this.fileOf(entry.key);
    const next = `${file}.${randomUUID()}`;
    try {
      mkdirSync(this.folder, { recursive: true, mode: 0o700 });
      this.prune();
      let known: object = {};
      try {
        known = JSON.parse(readFileSync(file, "utf8")) as object;
      } catch {
        // No entry yet, or a broken one: it is written anew.
      }
      const text = JSON.stringify({ ...known, ...entry });
      if (text === JSON.stringify(known)) return;
      writeFileSync(next, text, { mode: 0o600 });
      renameSync(next, file);
    } catch {
      // A read-only or full home folder must not stop a deploy; only the memory of this create is lost.
      removeQuietly(next);
    }
  }

  private fileOf(key: string): string {
    return join(this.folder, `${createHash("sha256").update(key).digest("hex")}.json`);
  }

  private prune(): void {
    if (this.pruned) return;
    this.pruned = true;
    const oldest = Date.now() - keptDays * 86_400_000;
    for (const name of readdirSync(this.folder)) {
      const path = join(this.folder, name);
      if (statSync(path).mtimeMs < oldest) rmSync(path, { force: true });
    }
  }
}

/** An entry that cannot be read or understood is no entry: the key itself still finds the machine. */
function readEntry(path: string): JournalEntry | undefined {
  try {
    return entrySchema.parse(JSON.parse(readFileSync(path, "utf8"))) as JournalEntry;
  } catch {
    return undefined;
  }
}

function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // It was never made.
  }
}

export const defaultJournal = (env: NodeJS.ProcessEnv = process.env): FileJournal =>
  new FileJournal(join(userStateFolder(env), "creates"));
