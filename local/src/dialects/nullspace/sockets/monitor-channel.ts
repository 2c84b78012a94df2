/** The monitor: every machine, how it changes, and what it uses, for as many subscriptions as their sockets hold. */
import { monitorClientFrame } from "@pulumi-machines/sdk/nullspace/frames";
import type { ControlPlane } from "../../../engine/control-plane";
import { wireError } from "../errors";
import type { Channel, Connection } from "./connection";
import { MonitorSubscription } from "./monitor-subscription";
import { type Frame, parseFrame, unknownType } from "./parse-frame";

/** Of one socket. */
const maxSubscriptions = 16;
const types = ["monitor_subscribe", "monitor_unsubscribe"] as const;

export class MonitorChannel implements Channel {
  readonly errorType = "monitor_error";
  private readonly subscriptions = new Map<string, MonitorSubscription>();

  constructor(
    private readonly connection: Connection,
    private readonly controlPlane: ControlPlane,
  ) {}

  async receive(frame: Frame): Promise<void> {
    if (!(types as readonly unknown[]).includes(frame["type"])) throw unknownType(types);
    const asked = parseFrame(monitorClientFrame, frame);
    this.subscriptions.get(asked.id)?.stop();
    this.subscriptions.delete(asked.id);
    if (asked.type === "monitor_unsubscribe") return;
    if (this.subscriptions.size >= maxSubscriptions) {
      const words = `this socket has ${String(maxSubscriptions)} subscriptions: open another one`;
      throw wireError(429, "rate_limit_exceeded", words);
    }
    const subscription = new MonitorSubscription(this.connection, this.controlPlane, {
      id: asked.id,
      ...(typeof asked.interval_ms === "number" ? { intervalMs: asked.interval_ms } : {}),
      processes: asked.include_processes ?? false,
    });
    this.subscriptions.set(asked.id, subscription);
    try {
      await subscription.start();
    } catch (error) {
      subscription.stop();
      if (this.subscriptions.get(asked.id) === subscription) this.subscriptions.delete(asked.id);
      throw error;
    }
  }

  closed(): void {
    for (const subscription of this.subscriptions.values()) subscription.stop();
    this.subscriptions.clear();
  }
}
