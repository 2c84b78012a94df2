/** The client of a Nullspace service, hosted or self-hosted, or of anything that speaks its API. */
import type { CallOptions } from "../call";
import { realDeps, type Deps } from "../deps";
import { ConnectionError } from "../errors";
import { Transport } from "../http";
import { Commands } from "./commands";
import type { NullspaceContext } from "./context";
import { realPlaces } from "./credentials";
import { DispatchProofs } from "./dispatch-proofs";
import { ExecRest } from "./exec-rest";
import { Files } from "./files";
import { readHealth, type Health } from "./health";
import { Lifecycle } from "./lifecycle";
import { Machines } from "./machines";
import { monitorMachines, type MonitorItem, type MonitorParams } from "./monitor";
import { Previews } from "./previews";
import { Pty } from "./pty";
import { transportSettings, type NullspaceSettings } from "./settings";
import { Snapshots } from "./snapshots";
import { Webhooks } from "./webhooks";

export interface NullspaceClientOptions extends NullspaceSettings {
  /** Called with one line for each retry and each dropped stream; default nothing is logged. Lines never hold a key. */
  log?: ((line: string) => void) | undefined;
  /** Clock, waiting and chance, for tests; default the real ones. */
  deps?: Partial<Deps> | undefined;
}

/**
 * Typed access to a Nullspace service. Settings that are not given are looked for when the client is made.
 *
 * @example
 * await using client = new NullspaceClient();
 * const { id } = await client.machines.create({ vcpus: 1, memoryMb: 512 });
 * const { stdout } = await client.commands.run(id, "uname -a", { shell: true });
 *
 * @throws UsageError `missing_api_key`, `invalid_api_key`, `invalid_base_url`, `invalid_argument`
 */
export class NullspaceClient {
  readonly machines: Machines;
  readonly snapshots: Snapshots;
  readonly commands: Commands;
  readonly pty: Pty;
  readonly files: Files;
  readonly lifecycle: Lifecycle;
  readonly webhooks: Webhooks;
  readonly previews: Previews;
  private readonly context: NullspaceContext;
  private readonly closing = new AbortController();

  constructor(options: NullspaceClientOptions = {}) {
    const deps: Deps = { ...realDeps, ...(options.log ? { log: options.log } : {}), ...options.deps };
    const settings = transportSettings(options, realPlaces());
    const transport = new Transport(settings, deps);
    this.context = {
      transport,
      baseUrl: settings.baseUrl,
      authHeaders: () => settings.headers,
      redact: transport.redact,
      deps,
      closing: this.closing.signal,
    };
    const proofs = new DispatchProofs();
    this.machines = new Machines(this.context, proofs);
    this.snapshots = new Snapshots(this.context);
    this.commands = new Commands(this.context, new ExecRest(this.context, proofs));
    this.pty = new Pty(this.context);
    this.files = new Files(this.context);
    this.lifecycle = new Lifecycle(this.context);
    this.webhooks = new Webhooks(this.context);
    this.previews = new Previews(this.context);
  }

  /** Whether the service lives; needs no good key. @throws ConnectionError */
  async health(options?: CallOptions): Promise<Health> {
    return readHealth(this.context.transport, options);
  }

  /** Every machine of the account, how it changes and what it uses, as it happens; never ends by itself. */
  monitor(params: MonitorParams = {}): AsyncGenerator<MonitorItem, never> {
    return monitorMachines(this.context, params);
  }

  /** Closes all connections at once; calls and streams under way fail with `client_closed`. */
  async close(): Promise<void> {
    const message = `the client of ${this.context.baseUrl.origin} was closed`;
    this.closing.abort(new ConnectionError({ message, code: "client_closed" }));
    await this.context.transport.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
