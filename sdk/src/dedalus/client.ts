/** The client of Dedalus Cloud Services, or of anything that speaks its API. */
import { realDeps, type Deps } from "../deps";
import { Transport } from "../http";
import { sseDefaults } from "../sse";
import { Executions } from "./executions";
import { Machines } from "./machines";
import { transportSettings, type DedalusSettings } from "./settings";

export interface DedalusClientOptions extends DedalusSettings {
  /** Silence after which a status stream counts as dead, in milliseconds; default 45000. */
  streamSilenceMs?: number | undefined;
  /** Called with one line for each retry and each dropped stream; default nothing is logged. Lines never hold a key. */
  log?: ((line: string) => void) | undefined;
  /** Clock, waiting and chance, for tests; default the real ones. */
  deps?: Partial<Deps> | undefined;
}

/**
 * Typed access to machines and executions. Settings that are not given come from the environment, which is read here.
 *
 * @example
 * await using client = new DedalusClient();
 * const { machineId } = await client.machines.create({ vcpu: 1, memoryMiB: 2048, storageGiB: 10 });
 * for await (const machine of client.machines.watch(machineId)) console.log(machine.status.phase);
 *
 * @throws UsageError `missing_api_key`, `invalid_api_key`, `invalid_base_url`, `invalid_argument`
 */
export class DedalusClient {
  readonly machines: Machines;
  readonly executions: Executions;
  private readonly transport: Transport;

  constructor(options: DedalusClientOptions = {}) {
    const deps: Deps = { ...realDeps, ...(options.log ? { log: options.log } : {}), ...options.deps };
    this.transport = new Transport(transportSettings(options, process.env), deps);
    this.machines = new Machines(this.transport, options.streamSilenceMs ?? sseDefaults.silenceMs);
    this.executions = new Executions(this.transport);
  }

  /** Closes all connections at once; calls and streams under way fail with `client_closed`. */
  async close(): Promise<void> {
    await this.transport.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
