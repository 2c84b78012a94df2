/** What the resources need of the files in machines. */
import type { CallOptions } from "./port";

export interface FileAttributes {
  /** Such as 0o644; default what the backend gives new files. */
  mode?: number;
}

export interface FilePort {
  /** Writes the whole file, and the folders above it; another one there is replaced at once, never half. @throws MachineGoneError */
  write(
    machineId: string,
    path: string,
    content: Uint8Array,
    options: CallOptions & FileAttributes,
  ): Promise<void>;
  /** @throws MachineGoneError. Undefined when there is none. */
  read(machineId: string, path: string, options: CallOptions): Promise<Uint8Array | undefined>;
  /** The SHA-256 of a file in lower-case hex; undefined when there is none. @throws MachineGoneError */
  hash(machineId: string, path: string, options: CallOptions): Promise<string | undefined>;
  /** A file or a folder with all in it; not found is success, and so is a machine that is gone. */
  remove(machineId: string, path: string, options: CallOptions): Promise<void>;
}
