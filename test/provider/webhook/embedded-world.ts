/** Webhooks over a real embedded control plane, in one provider process or several after one another. */
import { realClock, withDeadline, type Clock, type Context } from "../../../provider/src/context";
import { LocalControlPlane } from "../../../provider/src/controlplane/local";
import { nothingSeen, type SeenState } from "../../../provider/src/journal";
import { core } from "../../../provider/src/webhook/lifecycle";
import { all, keyed, never, startEmbedded } from "../controlplane/embedded";
import { MemoryJournal } from "../seams/world";

export type Properties = Record<string, unknown>;

export const secret = "whsec-of-the-test-1";
export const operations = ["create", "destroy"];
/** Nobody is there: what these tests look at is the webhook itself. */
export const url = "https://127.0.0.1:9/hook";

export const path = "/v1/lifecycle/webhooks";

export const urnOf = (name: string): string =>
  `urn:pulumi:dev::shop::pulumi-nodejs:dynamic/machines:Webhook::${name}`;

export class WebhookWorld {
  journal = new MemoryJournal();
  seen: SeenState = nothingSeen();
  lines: string[] = [];
  clock: Clock = realClock;

  private constructor(
    readonly local: Awaited<ReturnType<typeof startEmbedded>>,
    readonly plane: LocalControlPlane,
  ) {}

  static async start(): Promise<WebhookWorld> {
    const local = await startEmbedded("null");
    return new WebhookWorld(local, new LocalControlPlane({ url: local.url, apiKey: local.apiKey }));
  }

  async reset(): Promise<void> {
    this.local.faults.replace({ rules: [] });
    this.journal = new MemoryJournal();
    this.clock = realClock;
    this.restart();
    for (const id of await this.ids()) await this.plane.webhooks.delete(id, { signal: never });
  }

  async close(): Promise<void> {
    await this.plane.close();
    await this.local.close();
  }

  /** A new provider process: all that was in memory is gone. */
  restart(): void {
    this.seen = nothingSeen();
    this.lines = [];
  }

  /** What the engine says of the state before it asks for anything else. */
  saw(id: string, outs: Properties): void {
    this.seen.ids.add(id);
    this.seen.generations.set(String(outs.__urn), Number(outs.__generation));
  }

  /** What the engine hands to the provider. */
  inputs(name: string, args: Properties = {}): Properties {
    const hidden = { __provider: "loader", __urn: urnOf(name), __stackIdentity: "stack-1" };
    const given = { url, operations, secret, ...args, ...hidden };
    const { inputs, failures } = core.check({}, given, { backend: "local" });
    if (failures.length > 0) throw new Error(JSON.stringify(failures));
    return inputs;
  }

  create(
    name: string,
    args: Properties = {},
    more: { allowedMs?: number; stop?: AbortSignal } = {},
  ): Promise<{ id: string; outs: Properties }> {
    return this.run(name, (context) => core.create(context, this.inputs(name, args)), more);
  }

  /** A run that is killed when the service has made the webhook, and nobody has heard of it. Answers its id. */
  async killed(name: string, args: Properties = {}): Promise<string> {
    const before = await this.ids();
    const stop = new AbortController();
    const { clock } = this;
    // The first thing after a lost answer is to wait no time, and look.
    const sleep: Clock["sleep"] = (ms, signal) => {
      if (ms === 0) stop.abort(new Error("killed"));
      return clock.sleep(ms, signal);
    };
    this.clock = { ...clock, sleep };
    this.fault("POST", { times: 1, loseAnswer: true });
    await this.create(name, args, { stop: stop.signal }).then(
      () => Promise.reject(new Error("it was not killed")),
      () => undefined,
    );
    this.clock = clock;
    this.restart();
    const [made = "none"] = (await this.ids()).filter((id) => !before.includes(id));
    return made;
  }

  run<T>(
    name: string,
    work: (context: Context) => Promise<T>,
    { allowedMs = 60_000, stop = never }: { allowedMs?: number; stop?: AbortSignal } = {},
  ): Promise<T> {
    const { plane: controlPlane, journal, seen, clock } = this;
    const context = {
      ...{ name, urn: urnOf(name), signal: stop, controlPlane, journal, seen, clock },
      log: (line: string) => void this.lines.push(line),
      warn: (line: string) => void this.lines.push(`warning: ${line}`),
      newKey: () => keyed().idempotencyKey,
      random: () => 1,
    };
    return withDeadline(context, allowedMs, work);
  }

  async ids(): Promise<string[]> {
    return (await all(this.plane.webhooks.list({ signal: never }))).map(({ id }) => id);
  }

  /** Requests of this kind meet this fault. */
  fault(method: string, fault: object): void {
    this.local.faults.replace({ rules: [{ on: "request", method, path, after: 0, ...fault } as never] });
  }
}
