/** `client.machines`: one method per endpoint of a machine's life. */
import type { CallOptions, MutationOptions } from "../call";
import type { Transport } from "../http";
import { fetchAs, requestBody, segment } from "../answers";
import { listing, type Listing, type PageParams } from "./pages";
import { watchMachine, type WatchOptions } from "./watch";
import { createMachineRequest, machineAnswer, pageAnswer, updateMachineRequest, type Machine } from "./wire";

export interface CreateMachineParams {
  /** In quarters. */
  vcpu: number;
  memoryMiB: number;
  storageGiB: number;
  /** `30s`, `15m`, `1w3d`, seconds as text (`1800`) or `never`; the service's default is 5 minutes. */
  autosleep?: string | undefined;
}

/** Only what is given changes; storage grows, never shrinks. */
export type UpdateMachineParams = { [K in keyof CreateMachineParams]?: CreateMachineParams[K] | undefined };

export interface ChangeOptions extends MutationOptions {
  /** The revision that the change was decided on; another one is refused with 409 `REVISION_MISMATCH`. Default: not checked. */
  ifMatch?: string | undefined;
}

export class Machines {
  constructor(
    private readonly transport: Transport,
    private readonly streamSilenceMs: number,
  ) {}

  list(params: PageParams = {}, options?: CallOptions): Listing<Machine> {
    return listing(
      (cursor) =>
        fetchAs(this.transport, pageAnswer(machineAnswer), {
          what: "list machines",
          method: "GET",
          path: "/v1/machines",
          query: { limit: params.limit, cursor },
          options,
        }),
      params.cursor,
    );
  }

  /** Answers as soon as the service has accepted the machine; `watch` tells when it runs. */
  async create(params: CreateMachineParams, options?: MutationOptions): Promise<Machine> {
    const what = "create a machine";
    const body = requestBody(what, createMachineRequest, wireSizes(params));
    return fetchAs(this.transport, machineAnswer, {
      what,
      method: "POST",
      path: "/v1/machines",
      body,
      options,
    });
  }

  /** @throws NotFoundError */
  async get(machineId: string, options?: CallOptions): Promise<Machine> {
    return this.one("read", "GET", machineId, "", { options });
  }

  /** @throws NotFoundError */
  async update(machineId: string, params: UpdateMachineParams, options?: ChangeOptions): Promise<Machine> {
    const body = requestBody(`update machine ${machineId}`, updateMachineRequest, wireSizes(params));
    return this.one("update", "PATCH", machineId, "", { body, options });
  }

  /** Final: the disk is wiped. @throws NotFoundError */
  async delete(machineId: string, options?: ChangeOptions): Promise<Machine> {
    return this.one("delete", "DELETE", machineId, "", { options });
  }

  /** Stops the processes and keeps the disk. @throws NotFoundError */
  async sleep(machineId: string, options?: ChangeOptions): Promise<Machine> {
    return this.one("put to sleep", "POST", machineId, "/sleep", { options });
  }

  /** @throws NotFoundError */
  async wake(machineId: string, options?: ChangeOptions): Promise<Machine> {
    return this.one("wake", "POST", machineId, "/wake", { options });
  }

  /**
   * Every revision from the current one on, none lost or repeated over dropped connections, until the machine's desired
   * state holds or it failed. See `WatchOptions` for limits.
   * @throws NotFoundError when the machine is gone · AnswerError · DeadlineError
   */
  watch(machineId: string, options: WatchOptions = {}): AsyncGenerator<Machine, void> {
    segment("machine id", machineId);
    const service = {
      transport: this.transport,
      silenceMs: this.streamSilenceMs,
      get: (callOptions: CallOptions) => this.get(machineId, callOptions),
    };
    return watchMachine(service, machineId, options);
  }

  private async one(
    verb: string,
    method: "GET" | "POST" | "PATCH" | "DELETE",
    machineId: string,
    below: string,
    { body, options }: { body?: unknown; options?: ChangeOptions | undefined },
  ): Promise<Machine> {
    return fetchAs(this.transport, machineAnswer, {
      what: `${verb} machine ${machineId}`,
      machineId,
      method,
      path: `/v1/machines/${segment("machine id", machineId)}${below}`,
      body,
      headers: { "if-match": options?.ifMatch },
      options,
    });
  }
}

export const wireSizes = ({
  vcpu,
  memoryMiB,
  storageGiB,
  autosleep,
}: UpdateMachineParams): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries({ vcpu, memory_mib: memoryMiB, storage_gib: storageGiB, autosleep }).filter(
      ([, value]) => value !== undefined,
    ),
  );
