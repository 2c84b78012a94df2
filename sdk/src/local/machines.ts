/** `client.machines`: machines with the traits of both vendors' APIs, answered at once. */
import { fetchAs, requestBody, segment } from "../answers";
import type { Call, CallOptions, MutationOptions } from "../call";
import { AnswerError, MachinesError } from "../errors";
import type { Transport } from "../http";
import { wireSizes, type CreateMachineParams } from "../dedalus/machines";
import { machineAnswer, updateMachineRequest, type Machine } from "../dedalus/wire";
import { given } from "../nullspace/calls";
import { createBody, type CreateFromTemplateParams } from "../nullspace/machine-params";
import type { TimeoutAction } from "../nullspace/rules";
import { timeLimits } from "../nullspace/time-limits";
import { createMachineRequest } from "../nullspace/wire";

export interface CreateLocalMachineParams {
  /**
   * Sizes and autosleep. Required without a source; with one, what is not given is the source's, and a disk is never smaller.
   * Autosleep: default 5 minutes, or never together with `inactivityTimeoutMs` or `ephemeral`.
   */
  dedalus?: { [K in keyof CreateMachineParams]?: CreateMachineParams[K] | undefined } | undefined;
  /** The rest. Without `timeoutMs` the machine has no timeout. */
  nullspace?:
    | (Omit<CreateFromTemplateParams, "vcpus" | "memoryMb" | "diskMb" | "snapshotId"> & {
        /** Makes the machine from this snapshot, `snap_...`. */
        snapshotId?: string | undefined;
      })
    | undefined;
  /** Makes the machine as a copy of this one, `dm-...`, with the disk that it has now. */
  forkOf?: string | undefined;
}

export interface SetLocalTimeoutParams {
  /** Of the new lease, which begins now, in milliseconds; null is never. */
  timeoutMs: number | null;
  /** Default as it is. */
  timeoutAction?: TimeoutAction | undefined;
}

export class LocalMachines {
  constructor(private readonly transport: Transport) {}

  /**
   * Answers as soon as the machine is accepted, for a copy when its disk is kept; `DedalusClient.machines.watch` tells when it
   * runs. A repeated key answers the same machine.
   * @throws UsageError · NotFoundError `machine_not_found`, `snapshot_not_found`, `template_not_found` · AnswerError
   */
  async create(params: CreateLocalMachineParams, options?: MutationOptions): Promise<Machine> {
    const what = "create a machine";
    const { dedalus = {}, nullspace: { snapshotId, ...traits } = {}, forkOf } = params;
    const sizes = requestBody(what, updateMachineRequest, wireSizes(dedalus));
    const rest = given({ ...createBody(traits), snapshot_id: snapshotId });
    requestBody(what, createMachineRequest, rest);
    return this.send({
      what,
      path: "/local/v1/machines",
      body: given({ dedalus: sizes, nullspace: rest, fork_of: forkOf }),
      ...(forkOf === undefined ? {} : { machineId: forkOf, attemptTimeoutMs: timeLimits.transitionMs }),
      options: forkOf === undefined ? options : { timeoutMs: timeLimits.wholeRecoveryMs, ...options },
    });
  }

  /** Starts the lease anew, or ends it: `timeoutMs: null`. @param machineId `dm-...` @throws NotFoundError · AnswerError */
  async setTimeout(
    machineId: string,
    { timeoutMs, timeoutAction }: SetLocalTimeoutParams,
    options?: CallOptions,
  ): Promise<Machine> {
    return this.send({
      what: `set the timeout of machine ${machineId}`,
      machineId,
      path: `/local/v1/machines/${segment("machine id", machineId)}/timeout`,
      body: given({ timeout_ms: timeoutMs, timeout_action: timeoutAction }),
      keyed: false,
      options,
    });
  }

  private async send(call: Omit<Call, "method">): Promise<Machine> {
    return knownHere(this.transport, () =>
      fetchAs(this.transport, machineAnswer, { ...call, method: "POST" }),
    );
  }
}

/** An older control plane has no such path: that is no machine that is missing. */
export async function knownHere<T>(transport: Transport, send: () => Promise<T>): Promise<T> {
  try {
    return await send();
  } catch (error) {
    if (!(error instanceof MachinesError) || error.status !== 404 || error.code !== "http_404") throw error;
    throw transport.error(AnswerError, {
      message: `${error.message}. This control plane is older than this client: start the one of the same version.`,
      code: "path_not_found",
      status: 404,
      requestId: error.requestId,
      cause: error,
    });
  }
}
