/** Snapshots of machines: what the driver keeps of a disk, and what the store knows of it. */
import { Refusal, type Snapshots } from "./control-plane";

const unfinished = (): never => {
  throw new Refusal("not_supported", "not built yet");
};

export class EngineSnapshots implements Snapshots {
  async create(): Promise<never> {
    return unfinished();
  }
  async get(): Promise<never> {
    return unfinished();
  }
  async list(): Promise<never> {
    return unfinished();
  }
  async remove(): Promise<never> {
    return unfinished();
  }
}
