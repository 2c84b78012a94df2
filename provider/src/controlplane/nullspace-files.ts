/** Files over the Nullspace API. */
import { createHash } from "node:crypto";
import { NotFoundError, type NullspaceClient } from "@pulumi-machines/sdk";
import type { FileAttributes, FilePort } from "./file-port";
import type { MachineIds } from "./nullspace-ids";
import { MachineGoneError, type CallOptions } from "./port";
import { translateError } from "./translate";

export class NullspaceFiles implements FilePort {
  constructor(
    private readonly client: NullspaceClient,
    private readonly ids: MachineIds,
    private readonly hint: string | undefined,
  ) {}

  async write(
    machineId: string,
    path: string,
    content: Uint8Array,
    { signal, mode }: CallOptions & FileAttributes,
  ): Promise<void> {
    const id = this.ids.toWire(machineId);
    await this.call(machineId, async () => {
      await this.client.files.write(id, path, content, { signal });
      if (mode === undefined) return;
      await this.client.files.setPermissions(id, path, mode.toString(8).padStart(4, "0"), { signal });
    });
  }

  async read(machineId: string, path: string, { signal }: CallOptions): Promise<Uint8Array | undefined> {
    return this.orMissing(machineId, () =>
      this.client.files.readBytes(this.ids.toWire(machineId), path, { signal }),
    );
  }

  /** Read through, not into memory. */
  async hash(machineId: string, path: string, { signal }: CallOptions): Promise<string | undefined> {
    return this.orMissing(machineId, async () => {
      const hash = createHash("sha256");
      const download = await this.client.files.readStream(this.ids.toWire(machineId), path, { signal });
      for await (const chunk of download) hash.update(chunk);
      return hash.digest("hex");
    });
  }

  async remove(machineId: string, path: string, { signal }: CallOptions): Promise<void> {
    try {
      await this.orMissing(machineId, () =>
        this.client.files.remove(this.ids.toWire(machineId), path, { signal }),
      );
    } catch (error) {
      if (!(error instanceof MachineGoneError)) throw error;
    }
  }

  /** Undefined when the file is not there; a machine that is not there is told apart by asking for it. */
  private async orMissing<T>(machineId: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof NotFoundError && error.code !== "machine_not_found") {
        await this.call(machineId, () => this.client.machines.get(this.ids.toWire(machineId)));
        return undefined;
      }
      throw translateError(error, { machineId, hint: this.hint });
    }
  }

  private async call<T>(machineId: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw translateError(error, { machineId, hint: this.hint });
    }
  }
}
