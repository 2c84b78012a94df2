/**
 * The create journal on disk: one small file for each create, `<user state>/pulumi-machines/creates/<sha256>.json`,
 * mode 0600, a line of JSON for whatever was learned of it. Lines are only ever added: the program and the provider write
 * at once, and to replace a file costs ten times as much. It holds sizes, ids and names, no variables and no metadata,
 * which may be secret.
 */
import { createHash } from "node:crypto";
import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
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
  body: z.looseObject({}).optional(),
  machineId: z.string().optional(),
  snapshotId: z.string().optional(),
  webhookId: z.string().optional(),
  asked: z.string().optional(),
  before: z.array(z.string()).optional(),
  runKey: z.string().optional(),
  timeoutMs: z.number().optional(),
  commandId: z.string().optional(),
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
    try {
      mkdirSync(this.folder, { recursive: true, mode: 0o700 });
      this.prune();
      const text = readText(file);
      const known = knownIn(text);
      if (JSON.stringify({ ...known, ...entry }) === JSON.stringify(known)) return;
      // A line that a kill cut short stays a line of its own.
      const start = text === "" || text.endsWith("\n") ? "" : "\n";
      appendFileSync(file, `${start}${JSON.stringify(entry)}\n`, { mode: 0o600 });
    } catch {
      // A read-only or full home folder must not stop a deploy; only the memory of this create is lost.
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
  const parsed = entrySchema.safeParse(knownIn(readText(path)));
  return parsed.success ? (parsed.data as JournalEntry) : undefined;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // No entry yet, or one that may not be read.
    return "";
  }
}

/** What all whole lines say together; later ones win. */
function knownIn(text: string): object {
  const known = {};
  for (const line of text.split("\n")) {
    if (line === "") continue;
    try {
      Object.assign(known, JSON.parse(line));
    } catch {
      // Cut short by a kill.
    }
  }
  return known;
}

export const defaultJournal = (env: NodeJS.ProcessEnv = process.env): FileJournal =>
  new FileJournal(join(userStateFolder(env), "creates"));
