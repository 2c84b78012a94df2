/** Changes in a folder of a machine, told by the kernel; nothing polls. */
import { setTimeout as sleep } from "node:timers/promises";
import { Refusal } from "../../control-plane";
import type { Driver } from "../../driver";
import type { FileChange, FileOptions } from "../api";
import type { FilePrograms } from "../program";
import { FolderTree } from "./folder-tree";
import { type HeldFolder, holdFolder, letGo } from "./holder";

/** Time for what belongs together, such as both names of a rename, to come in. */
const settleMs = 15;

export interface WatchRequest {
  machineId: string;
  path: string;
  options: FileOptions & { recursive: boolean };
}

/**
 * Resolves when the watch stands. Changes are looked for when the reader asks, so a slow one gets fewer and newer, never
 * too many. @throws Refusal
 */
export async function watchFolder(
  programs: FilePrograms,
  driver: Driver,
  { machineId, path, options }: WatchRequest,
): Promise<AsyncIterable<FileChange>> {
  if (process.platform !== "linux") {
    throw new Refusal("not_supported", "watching files needs Linux");
  }
  const asked = { machineId, path, outside: driver.name === "sandbox" };
  const held = await holdFolder(programs, asked, options);
  const watching = new Watching(held, options);
  await watching.begin();
  return watching.changes();
}

class Watching {
  private readonly tree: FolderTree;
  private over = false;
  private wake = (): void => undefined;

  constructor(
    private readonly held: HeldFolder,
    private readonly options: FileOptions & { recursive: boolean },
  ) {
    this.tree = new FolderTree(options.recursive, () => {
      this.wake();
    });
  }

  async begin(): Promise<void> {
    const { signal } = this.options;
    const end = (): void => void this.close();
    signal.addEventListener("abort", end, { once: true });
    // With the machine; what we have open would keep its disk.
    void this.held.holder.program.exited
      .catch(() => undefined)
      .then(() => {
        signal.removeEventListener("abort", end);
        end();
      });
    try {
      await this.tree.begin(this.held.folder, this.held.realPath);
      signal.throwIfAborted();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async *changes(): AsyncGenerator<FileChange> {
    try {
      while (await this.something()) {
        await sleep(settleMs);
        if (this.over) return;
        for (const { event, name } of await this.tree.changes())
          yield { event, name, path: this.pathOf(name) };
        if (this.tree.failure) throw this.tree.failure;
        if (!this.over && (await this.tree.isGone())) {
          yield { event: "remove", name: ".", path: this.held.path };
          return;
        }
      }
    } catch (error) {
      if (!this.over) throw error;
    } finally {
      await this.close();
    }
  }

  /** False when it is over. */
  private async something(): Promise<boolean> {
    while (!this.over && !this.tree.failure && !this.tree.isDirty) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    return !this.over;
  }

  private pathOf(name: string): string {
    return this.held.path === "/" ? `/${name}` : `${this.held.path}/${name}`;
  }

  private async close(): Promise<void> {
    if (this.over) return;
    this.over = true;
    this.wake();
    await this.tree.close();
    await letGo(this.held);
  }
}
