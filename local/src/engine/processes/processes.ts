/** Processes as their callers hold them, on top of the engine's executions. */
import { type Machines, Refusal } from "../control-plane";
import type { Driver } from "../driver";
import type { Executions } from "../executions";
import type { Processes } from "./api";

export interface ProcessesHost {
  executions: Executions;
  driver: Driver;
  use: Machines["use"];
  report: (message: string, error?: unknown) => void;
}

const unfinished = (): never => {
  throw new Refusal("not_supported", "not built yet");
};

export class EngineProcesses implements Processes {
  constructor(protected readonly host: ProcessesHost) {}

  async start(): Promise<never> {
    return unfinished();
  }
  async get(): Promise<never> {
    return unfinished();
  }
  async list(): Promise<never> {
    return unfinished();
  }
  async ended(): Promise<never> {
    return unfinished();
  }
  async follow(): Promise<never> {
    return unfinished();
  }
  async logs(): Promise<never> {
    return unfinished();
  }
  async writeStdin(): Promise<never> {
    return unfinished();
  }
  async closeStdin(): Promise<never> {
    return unfinished();
  }
  async kill(): Promise<never> {
    return unfinished();
  }
  async resize(): Promise<never> {
    return unfinished();
  }
  async terminal(): Promise<never> {
    return unfinished();
  }
}
