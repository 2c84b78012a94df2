/** The lifecycle history over the Nullspace API. */
import type { LifecycleEvent, NullspaceClient } from "@pulumi-machines/sdk";
import type { EventFilter, EventPort, EventView } from "./event-port";
import type { MachineIds } from "./nullspace-ids";
import type { CallOptions } from "./port";
import { translateError } from "./translate";

const mostInPage = 100;

export class NullspaceEvents implements EventPort {
  constructor(
    private readonly client: NullspaceClient,
    private readonly ids: MachineIds,
    private readonly hint: string | undefined,
  ) {}

  async *list(
    { limit = Infinity, machineId, ...filter }: EventFilter,
    { signal }: CallOptions,
  ): AsyncGenerator<EventView, void> {
    if (limit < 1) return;
    const { snapshotId, sourceMachineId, targetMachineId, ...common } = filter;
    const { toWire } = this.ids;
    const params = { ...common, limit: Math.min(limit, mostInPage) };
    const machine = machineId === undefined ? undefined : toWire(machineId);
    const others = {
      snapshotId,
      sourceMachineId: sourceMachineId && toWire(sourceMachineId),
      targetMachineId: targetMachineId && toWire(targetMachineId),
    };
    // A machine's own history also has the events in which it is the source or the target.
    const narrowed = Object.values(others).some((value) => value !== undefined);
    let told = 0;
    try {
      const listing =
        machine !== undefined && !narrowed
          ? this.client.lifecycle.listForMachine(machine, params, { signal })
          : this.client.lifecycle.list({ ...params, ...others, machineId: machine }, { signal });
      for await (const event of listing) {
        yield this.viewOf(event);
        if ((told += 1) >= limit) return;
      }
    } catch (error) {
      throw translateError(error, { machineId, hint: this.hint });
    }
  }

  /** An event as the port has it. */
  viewOf(event: LifecycleEvent): EventView {
    const { id, occurredAt, operation, status, actorKind, metadata, snapshotId } = event;
    const machines = Object.fromEntries(
      (["machineId", "sourceMachineId", "targetMachineId"] as const)
        .filter((name) => event[name] !== undefined)
        .map((name) => [name, this.ids.fromWire(event[name] as string)]),
    );
    return {
      ...{ id, occurredAt, operation, status, actorKind, metadata },
      ...machines,
      ...(snapshotId === undefined ? {} : { snapshotId }),
      ...(event.reason === undefined ? {} : { reason: event.reason }),
      ...(event.errorCode === undefined ? {} : { errorCode: event.errorCode }),
      ...(event.errorMessage === undefined ? {} : { errorMessage: event.errorMessage }),
    };
  }
}
