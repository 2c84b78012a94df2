/** Webhooks of the lifecycle log: who is told what, and the deliveries on their way. */
import { Refusal, type Webhooks } from "../engine/control-plane";
import type { LifecycleEventRecord } from "../engine/record";
import type { Database, Tx } from "../store/store";

export interface WebhooksHost {
  db: Database;
  now: () => Date;
  report: (message: string, error?: unknown) => void;
  /** The text that is sent and signed. */
  body: (event: LifecycleEventRecord) => string;
  /** Takes http:// URLs of this host's loopback; default false: https only. */
  allowHttpLoopback: boolean;
}

const unfinished = (): never => {
  throw new Refusal("not_supported", "not built yet");
};

export class EngineWebhooks implements Webhooks {
  constructor(protected readonly host: WebhooksHost) {}

  /** Queues the deliveries of new events, in the transaction that writes the events. */
  async enqueue(_tx: Tx, _events: readonly LifecycleEventRecord[]): Promise<void> {
    return undefined;
  }

  /** Says that deliveries may be due: after the commit of an event, and once at the start. */
  poke(): void {
    return undefined;
  }

  async close(): Promise<void> {
    return undefined;
  }

  async create(): Promise<never> {
    return unfinished();
  }
  async list(): Promise<never> {
    return unfinished();
  }
  async get(): Promise<never> {
    return unfinished();
  }
  async update(): Promise<never> {
    return unfinished();
  }
  async remove(): Promise<never> {
    return unfinished();
  }
  async deliveries(): Promise<never> {
    return unfinished();
  }
  async delivery(): Promise<never> {
    return unfinished();
  }
}
