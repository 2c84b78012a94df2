/** One watcher of a command's two output files, for all who read them. */
import { type FSWatcher, watch } from "node:fs";

/** How often to look where the system cannot watch files, in milliseconds. */
const lookAgainMs = 250;

export class OutputWatch {
  private readonly watchers: FSWatcher[] = [];
  private timer: NodeJS.Timeout | undefined;

  /** `unwatchable` is told once why the files can only be looked at now and then. */
  constructor(
    private readonly paths: readonly string[],
    private readonly changed: (path: string) => void,
    private readonly unwatchable: (error: unknown) => void,
  ) {
    for (const path of paths) {
      try {
        const watcher = watch(path, { persistent: false }, () => changed(path));
        watcher.on("error", (error) => this.poll(error));
        this.watchers.push(watcher);
      } catch (error) {
        this.poll(error);
      }
    }
  }

  close(): void {
    clearInterval(this.timer);
    for (const watcher of this.watchers.splice(0)) watcher.close();
  }

  private poll(error: unknown): void {
    if (this.timer) return;
    this.timer = setInterval(() => {
      for (const path of this.paths) this.changed(path);
    }, lookAgainMs).unref();
    this.unwatchable(error);
  }
}
