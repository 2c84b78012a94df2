/** `client.machines`: one method per endpoint of a machine's life. Units are milliseconds and MiB. */
import type { z } from "zod";
import { fetchAs, fetchValue, requestBody } from "../answers";
import type { Call, CallOptions, MutationOptions } from "../call";
import { given, machinePath, withKey, withoutKey, withWhole, wholeNumber } from "./calls";
import type { NullspaceContext } from "./context";
import type { DispatchProofs } from "./dispatch-proofs";
import { dispatchProofHeader } from "./dispatch-proofs";
import { startKeepAlive, type KeepAlive, type KeepAliveOptions } from "./keep-alive";
import {
  destroyedAnswer,
  egressAnswer,
  hostAnswer,
  leaseAnswer,
  metricsAnswer,
  type DestroyedMachine,
  type Lease,
  type MachineHost,
  type MachineMetrics,
} from "./machine-answers";
import {
  fieldMask,
  listMachines,
  type ListMachinesParams,
  type MachineField,
  type MachineListing,
} from "./machine-list";
import { createBody, egressBody, type CreateMachineParams, type EgressPolicy } from "./machine-params";
import type { WatchOptions } from "../dedalus/watch";
import type { Machine as MachineStatusView } from "../dedalus/wire";
import { recoveryRetry } from "./retry";
import type { TimeoutAction } from "./rules";
import { watchStatus } from "./status-stream";
import { timeLimits } from "./time-limits";
import {
  createMachineRequest,
  hostRequest,
  machineAnswer,
  machineFieldsAnswer,
  setTimeoutRequest,
  snapshotAnswer,
  updateEgressRequest,
  type MachineFields,
  type NullspaceMachine,
  type Snapshot,
} from "./wire";

export interface SetTimeoutParams {
  /** Of the new lease, which begins now, in milliseconds. */
  timeoutMs: number;
  /** Default as it is. */
  timeoutAction?: TimeoutAction | undefined;
}

export interface ConnectParams {
  /** When given, the lease begins anew with this length, in milliseconds. */
  timeoutMs?: number | undefined;
}

/** Every call throws NotFoundError for a machine that is not there, and AuthError for a key that is refused. */
export class Machines {
  constructor(
    private readonly context: Pick<NullspaceContext, "transport" | "deps">,
    private readonly proofs: DispatchProofs,
  ) {}

  /**
   * Answers when the machine is usable. Every attempt carries the same key: when the answer is lost, or the service is
   * still at it, the call is repeated up to 29 times and finds the same machine.
   * @throws UsageError · QuotaExceededError · RateLimitError · ConflictError · ConnectionError · DeadlineError
   */
  async create(params: CreateMachineParams = {}, options?: MutationOptions): Promise<NullspaceMachine> {
    const what = "create a machine";
    const body = createBody(params);
    requestBody(what, createMachineRequest, body);
    const { value, answer } = await fetchValue(this.context.transport, machineAnswer, {
      what,
      method: "POST",
      path: "/v1/machines",
      body,
      keepHeaders: [dispatchProofHeader],
      retry: recoveryRetry,
      attemptTimeoutMs: timeLimits.createMs,
      options: withWhole(withKey(options)),
    });
    this.proofs.keep(value.id, answer.headers?.[dispatchProofHeader]);
    return value;
  }

  /** Never wakes a paused machine. With `fields` only these members come, the others are absent. */
  async get(machineId: string, options?: CallOptions & { fields?: undefined }): Promise<NullspaceMachine>;
  async get(
    machineId: string,
    options: CallOptions & { fields: readonly MachineField[] },
  ): Promise<MachineFields>;
  async get(
    machineId: string,
    options: CallOptions & { fields?: readonly MachineField[] | undefined } = {},
  ): Promise<NullspaceMachine | MachineFields> {
    const { fields } = options;
    const query = { fields: fields === undefined ? undefined : fieldMask(fields) };
    const call = { query, options: withoutKey(options) };
    return fields === undefined
      ? this.send(machineAnswer, "read", "GET", machineId, "", call)
      : this.send(machineFieldsAnswer, "read", "GET", machineId, "", call);
  }

  /** Machines over all pages, or `.pages()`, or `.page()`. With `fields` only these members come. @throws UsageError */
  list(
    params?: ListMachinesParams & { fields?: undefined },
    options?: CallOptions,
  ): MachineListing<NullspaceMachine>;
  list(
    params: ListMachinesParams & { fields: readonly MachineField[] },
    options?: CallOptions,
  ): MachineListing<MachineFields>;
  list(
    params: ListMachinesParams & { fields?: readonly MachineField[] | undefined } = {},
    options?: CallOptions,
  ): MachineListing<NullspaceMachine> | MachineListing<MachineFields> {
    return listMachines(this.context.transport, params, params.fields, options);
  }

  /** Destroys it, also when it is paused. Final. */
  async delete(machineId: string, options?: CallOptions): Promise<DestroyedMachine> {
    const answer = await this.send(destroyedAnswer, "destroy", "DELETE", machineId, "", {
      attemptTimeoutMs: timeLimits.createMs,
      options: withoutKey(options),
    });
    this.proofs.forget(machineId);
    return { id: answer.id ?? machineId, status: answer.status ?? "destroyed" };
  }

  /** Stops a running machine and keeps it; the snapshot wakes this machine only. @throws ConflictError `machine_not_ready` */
  async hibernate(machineId: string, options?: CallOptions): Promise<Snapshot> {
    return this.transition(snapshotAnswer, "hibernate", machineId, "/hibernate", withoutKey(options));
  }

  /** The same as `hibernate`. */
  async pause(machineId: string, options?: CallOptions): Promise<Snapshot> {
    return this.hibernate(machineId, options);
  }

  /** Wakes a paused machine under its own id; a running one is answered as it is. The answer is short: no lease, no times. */
  async resume(machineId: string, options?: CallOptions): Promise<NullspaceMachine> {
    return this.transition(machineAnswer, "resume", machineId, "/resume", withoutKey(options));
  }

  /** A new machine with this one's present state; this one goes on. The answer is short. @throws ConflictError */
  async fork(machineId: string, options?: MutationOptions): Promise<NullspaceMachine> {
    return this.transition(machineAnswer, "fork", machineId, "/fork", withKey(options));
  }

  /** The machine, awake: reads it, resumes it when it is paused, and starts its lease anew when asked to. */
  async connect(
    machineId: string,
    { timeoutMs }: ConnectParams = {},
    options?: CallOptions,
  ): Promise<NullspaceMachine> {
    const found = await this.get(machineId, withoutKey(options));
    const asleep = found.status === "paused";
    if (asleep) await this.resume(machineId, options);
    if (timeoutMs !== undefined) await this.setTimeout(machineId, { timeoutMs }, options);
    return asleep || timeoutMs !== undefined ? this.get(machineId, withoutKey(options)) : found;
  }

  /** Starts the lease anew. */
  async setTimeout(machineId: string, params: SetTimeoutParams, options?: CallOptions): Promise<Lease> {
    const body = given({ timeout_ms: params.timeoutMs, timeout_action: params.timeoutAction });
    requestBody(`set the timeout of machine ${machineId}`, setTimeoutRequest, body);
    return this.send(leaseAnswer, "set the timeout of", "POST", machineId, "/timeout", {
      body,
      options: withoutKey(options),
    });
  }

  /**
   * Renews the lease now and then every half of `timeoutMs` (at least every second) until stopped. Resolves once the first
   * renewal is done; see `KeepAliveOptions.onError` for later ones that fail.
   * @example await using alive = await client.machines.keepAlive(id, { timeoutMs: 60_000 });
   */
  async keepAlive(machineId: string, options: KeepAliveOptions): Promise<KeepAlive> {
    return startKeepAlive(this.context.deps, options, (signal) =>
      this.setTimeout(machineId, options, { signal }),
    );
  }

  /**
   * A machine's status as it changes, until it has settled, where the service has such a stream (an extension): with phases,
   * reasons and revisions, over dropped connections, none lost or repeated.
   * @throws NotImplementedError `no_status_stream` where the service has none · NotFoundError
   */
  watchStatus(machineId: string, options: WatchOptions = {}): AsyncGenerator<MachineStatusView, void> {
    return watchStatus(this.context, machineId, (call) => this.get(machineId, call), options);
  }

  /** The last measurements. */
  async metrics(machineId: string, options?: CallOptions): Promise<MachineMetrics[]> {
    const { value } = await fetchValue(
      this.context.transport,
      metricsAnswer,
      this.call("read the metrics of", "GET", machineId, "/metrics", { options: withoutKey(options) }),
    );
    return value;
  }

  /** Replaces the policy for outgoing traffic; it outlives hibernation. */
  async updateEgress(machineId: string, policy: EgressPolicy, options?: CallOptions): Promise<EgressPolicy> {
    const body = { egress: egressBody(policy) };
    requestBody(`set the egress policy of machine ${machineId}`, updateEgressRequest, body);
    return this.send(egressAnswer, "set the egress policy of", "PATCH", machineId, "/egress", {
      body,
      options: withoutKey(options),
    });
  }

  /** Where a port of the machine is reached. @param port 1 to 65535 */
  async host(machineId: string, port: number, options?: CallOptions): Promise<MachineHost> {
    const body = requestBody("ask for the host of a port", hostRequest, {
      port: wholeNumber("the port", port, 1, 65_535),
    });
    return this.send(hostAnswer, "ask for the host of a port of", "POST", machineId, "/host", {
      body,
      options: withoutKey(options),
    });
  }

  private async transition<T extends object>(
    schema: z.ZodType<T>,
    verb: string,
    machineId: string,
    below: string,
    options: MutationOptions,
  ): Promise<T> {
    const keyed = options.idempotencyKey !== undefined;
    return this.send(schema, verb, "POST", machineId, below, {
      keyed,
      ...(keyed ? { retry: recoveryRetry } : {}),
      attemptTimeoutMs: timeLimits.transitionMs,
      options: withWhole(options),
    });
  }

  private async send<T extends object>(
    schema: z.ZodType<T>,
    verb: string,
    method: Call["method"],
    machineId: string,
    below: string,
    rest: Partial<Call>,
  ): Promise<T> {
    return fetchAs(this.context.transport, schema, this.call(verb, method, machineId, below, rest));
  }

  private call(
    verb: string,
    method: Call["method"],
    machineId: string,
    below: string,
    rest: Partial<Call>,
  ): Call {
    const path = machinePath(machineId, below);
    return { keyed: false, ...rest, what: `${verb} machine ${machineId}`, machineId, method, path };
  }
}
