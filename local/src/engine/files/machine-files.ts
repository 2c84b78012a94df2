/** Files of a machine, by small programs that run inside it: no path of the machine is ever opened on the host. */
import { type Machines, Refusal } from "../control-plane";
import type { Driver } from "../driver";
import type { Files } from "./api";

export interface FilesHost {
  driver: Driver;
  use: Machines["use"];
}

const unfinished = (): never => {
  throw new Refusal("not_supported", "not built yet");
};

export class MachineFiles implements Files {
  constructor(protected readonly host: FilesHost) {}

  async stat(): Promise<never> {
    return unfinished();
  }
  async exists(): Promise<never> {
    return unfinished();
  }
  async list(): Promise<never> {
    return unfinished();
  }
  async read(): Promise<never> {
    return unfinished();
  }
  async write(): Promise<never> {
    return unfinished();
  }
  async unpack(): Promise<never> {
    return unfinished();
  }
  async remove(): Promise<never> {
    return unfinished();
  }
  async rename(): Promise<never> {
    return unfinished();
  }
  async makeFolder(): Promise<never> {
    return unfinished();
  }
  async setPermissions(): Promise<never> {
    return unfinished();
  }
  async find(): Promise<never> {
    return unfinished();
  }
  async search(): Promise<never> {
    return unfinished();
  }
  async replace(): Promise<never> {
    return unfinished();
  }
  async watch(): Promise<never> {
    return unfinished();
  }
}
