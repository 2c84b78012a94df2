/** The account's lifecycle log, as history and as a stream. */
import { type LifecycleLog, Refusal } from "./control-plane";

const unfinished = (): never => {
  throw new Refusal("not_supported", "not built yet");
};

export class EngineLifecycleLog implements LifecycleLog {
  async page(): Promise<never> {
    return unfinished();
  }
  async get(): Promise<never> {
    return unfinished();
  }
  async follow(): Promise<never> {
    return unfinished();
  }
}
