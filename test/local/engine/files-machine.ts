/** A machine of a real driver, and its files through the engine. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { unlimitedCapacity } from "../../../local/src/engine/capacity";
import { type ControlPlane, Refusal } from "../../../local/src/engine/control-plane";
import type { Driver } from "../../../local/src/engine/driver";
import type { DriverChoice } from "../../../local/src/engine/drivers/select";
import { createDriver } from "../../../local/src/engine/drivers/select";
import { openControlPlane } from "../../../local/src/engine/engine";
import type { FileOptions } from "../../../local/src/engine/files/api";
import type { MachineRecord } from "../../../local/src/engine/record";

let keys = 0;
const request = () => ({ scope: "files", key: `key-${String(++keys)}`, requestHash: "h" });
const render = (record: { id: string }) => ({ status: 200, headers: {}, body: JSON.stringify(record) });
const never = new AbortController().signal;

export const options: FileOptions = { signal: never };

export class FilesMachine {
  private constructor(
    readonly plane: ControlPlane,
    readonly driver: Driver,
    readonly id: string,
    private readonly stateDir: string,
  ) {}

  static async start(name: DriverChoice, traits: Partial<MachineRecord> = {}): Promise<FilesMachine> {
    const stateDir = mkdtempSync(join(tmpdir(), "machines-files-"));
    const driver = await createDriver({ name, stateDir, log: () => undefined });
    const plane = await openControlPlane({ stateDir, driver, capacity: unlimitedCapacity });
    const answer = await plane.machines.create(
      { size: { vcpu: 1, memoryMiB: 512, storageGiB: 1 }, autosleepSeconds: 0, traits },
      request(),
      render,
    );
    const { id } = JSON.parse(answer.body) as MachineRecord;
    await plane.machines.settled(id, "running", never);
    return new FilesMachine(plane, driver, id, stateDir);
  }

  get files() {
    return this.plane.files;
  }

  /** What a command in the machine prints; all that it says on stderr with it. */
  async sh(script: string, ...args: string[]): Promise<string> {
    const program = await this.driver.pipe(this.id, ["/bin/sh", "-c", `exec 2>&1; ${script}`, "sh", ...args]);
    program.stdin.end();
    const said = await text(program.stdout);
    await program.exited;
    return said;
  }

  async write(path: string, content: string | Buffer): Promise<void> {
    await this.files.write(this.id, path, Readable.from([content]), options);
  }

  async read(path: string): Promise<Buffer> {
    const { size, content } = await this.files.read(this.id, path, options);
    const got = await buffer(content);
    expect(got.length).toBe(size);
    return got;
  }

  /** Drafts and file programs that are left of anything; what was killed has five seconds to be gone. */
  async traces(): Promise<string> {
    const look = () =>
      this.sh(
        `find "$HOME" -name '.nullspace-draft-*'; cd /proc; for p in [0-9]*; do
          grep -qE '[d]eframe|[e]xec cat' $p/cmdline && grep -qF "HOME=$HOME" $p/environ && echo $p
        done 2>/dev/null`,
      );
    const deadline = Date.now() + 5000;
    let left = await look();
    while (left !== "" && Date.now() < deadline) left = await look();
    return left;
  }

  async end(): Promise<void> {
    await this.plane.machines.state(this.id, "destroyed");
    await this.plane.machines.settled(this.id, "destroyed", never);
    await this.plane.close();
    rmSync(this.stateDir, { recursive: true, force: true });
  }
}

/** The code that a call is refused with. */
export async function refusalOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    if (error instanceof Refusal) return error.code;
    throw error;
  }
  throw new Error("it was not refused");
}
