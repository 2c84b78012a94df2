/** The client of what only the embedded control plane has; DedalusClient and NullspaceClient reach the rest of it. */
import { realDeps, type Deps } from "../deps";
import { Transport } from "../http";
import { LocalMachines } from "./machines";
import { transportSettings, type LocalSettings } from "./settings";
import { LocalSnapshots } from "./snapshots";

export interface LocalClientOptions extends LocalSettings {
  /** Called with one line for each retry; default nothing is logged. Lines never hold a key. */
  log?: ((line: string) => void) | undefined;
  /** Clock, waiting and chance, for tests; default the real ones. */
  deps?: Partial<Deps> | undefined;
}

/**
 * Machines with the traits of both vendors' APIs, on the embedded control plane.
 *
 * @example
 * await using client = new LocalClient({ baseUrl: "http://127.0.0.1:4590", apiKey });
 * const { machineId } = await client.machines.create({
 *   dedalus: { vcpu: 0.5, memoryMiB: 512, storageGiB: 4 },
 *   nullspace: { envs: { NAME: "value" }, metadata: { team: "blue" } },
 * });
 *
 * @throws UsageError `missing_api_key`, `invalid_api_key`, `invalid_base_url`, `invalid_argument`
 */
export class LocalClient {
  readonly machines: LocalMachines;
  readonly snapshots: LocalSnapshots;
  private readonly transport: Transport;

  constructor(options: LocalClientOptions) {
    const deps: Deps = { ...realDeps, ...(options.log ? { log: options.log } : {}), ...options.deps };
    this.transport = new Transport(transportSettings(options), deps);
    this.machines = new LocalMachines(this.transport);
    this.snapshots = new LocalSnapshots(this.transport);
  }

  /** Closes all connections at once; calls under way fail with `client_closed`. */
  async close(): Promise<void> {
    await this.transport.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
