/** Files over the Nullspace API. */
import { createHash, randomUUID } from "node:crypto";
import { NotFoundError, type NullspaceClient } from "@pulumi-machines/sdk";
import type { FileAttributes, FilePort } from "./file-port";
import type { MachineIds } from "./nullspace-ids";
import { MachineGoneError, type CallOptions } from "./port";
import { translateError } from "./translate";

const ownerOnly = 0o600;
const ownerWrites = 0o200;
const isPrivate = (mode: number): boolean => (mode & 0o044) !== 0o044;

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
    const { files } = this.client;
    const id = this.ids.toWire(machineId);
    const permit = (file: string, bits: number): Promise<void> =>
      files.setPermissions(id, file, bits.toString(8).padStart(4, "0"), { signal });
    const inPlace = async (): Promise<void> => {
      await files.write(id, path, content, { signal });
      if (mode !== undefined) await permit(path, mode);
    };
    if (mode === undefined || (!isPrivate(mode) && (mode & ownerWrites) !== 0))
      return this.call(machineId, inPlace);
    // A file is written with everybody's right to read it: what is there loses that right first, what is new never has it.
    const before = await this.orMissing(machineId, signal, () => files.stat(id, path, { signal }));
    if (before) {
      return this.call(machineId, async () => {
        // One that its owner may not write would refuse the new content, too.
        if (!before.isDir) await permit(path, mode | ownerWrites);
        await inPlace();
      });
    }
    const draft = `${path}.${randomUUID().slice(0, 8)}.part`;
    try {
      await this.call(machineId, async () => {
        await files.write(id, draft, new Uint8Array(), { signal });
        await permit(draft, ownerOnly);
        await files.write(id, draft, content, { signal });
        await permit(draft, mode);
        await files.rename(id, draft, path, { signal });
      });
    } catch (error) {
      // A machine that is gone, or a signal that has ended the call, leaves nothing to tidy up with.
      if (!signal.aborted) await this.remove(machineId, draft, { signal }).catch(() => undefined);
      throw error;
    }
  }

  async read(machineId: string, path: string, { signal }: CallOptions): Promise<Uint8Array | undefined> {
    return this.orMissing(machineId, signal, () =>
      this.client.files.readBytes(this.ids.toWire(machineId), path, { signal }),
    );
  }

  /** Read through, not into memory. */
  async hash(machineId: string, path: string, { signal }: CallOptions): Promise<string | undefined> {
    return this.orMissing(machineId, signal, async () => {
      const hash = createHash("sha256");
      const download = await this.client.files.readStream(this.ids.toWire(machineId), path, { signal });
      for await (const chunk of download) hash.update(chunk);
      return hash.digest("hex");
    });
  }

  async remove(machineId: string, path: string, { signal }: CallOptions): Promise<void> {
    try {
      await this.orMissing(machineId, signal, () =>
        this.client.files.remove(this.ids.toWire(machineId), path, { signal }),
      );
    } catch (error) {
      if (!(error instanceof MachineGoneError)) throw error;
    }
  }

  /** Undefined when the file is not there; a machine that is not there is told apart by asking for it. */
  private async orMissing<T>(
    machineId: string,
    signal: AbortSignal,
    work: () => Promise<T>,
  ): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof NotFoundError && error.code !== "machine_not_found") {
        await this.call(machineId, () => this.client.machines.get(this.ids.toWire(machineId), { signal }));
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
