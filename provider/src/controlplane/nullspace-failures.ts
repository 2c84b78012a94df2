/** Why a machine is in error: this API says it in the answer that tells of it, or in the history, and not of the machine. */
import { MachinesError, type NullspaceMachine } from "@pulumi-machines/sdk";
import type { EventPort } from "./event-port";
import type { FailureWords } from "./nullspace-view";

/** In a history, so many of the newest failures are looked at. */
const looked = 20;

export class NullspaceFailures {
  private readonly told = new Map<string, FailureWords>();

  constructor(private readonly events: EventPort) {}

  /** The machine that a failed call has left in error, which is kept. Undefined when it has left none. */
  leftBy(error: unknown): string | undefined {
    if (!(error instanceof MachinesError)) return undefined;
    const { machine_id: id, reason, last_error: lastError, status } = error.details ?? {};
    if (id === undefined || status !== "error") return undefined;
    this.told.set(id, {
      reason: reason ?? error.code,
      lastError: lastError ?? error.message,
      retryable: error.retryable,
    });
    return id;
  }

  /** Something new begins: what was said before is not about it. */
  forget(id: string): void {
    this.told.delete(id);
  }

  /** From the answer that told it, else from its newest failed event; nothing for a machine that is not in error. */
  async wordsFor({ id, status }: NullspaceMachine, signal: AbortSignal): Promise<FailureWords> {
    if (status === "running" || status === "paused") this.forget(id);
    if (status !== "error") return {};
    const told = this.told.get(id);
    if (told) return told;
    try {
      for await (const event of this.events.list(
        { machineId: id, status: "failed", limit: looked },
        { signal },
      )) {
        // A copy of it that failed is in its history, too.
        if (event.machineId !== id) continue;
        return {
          reason: event.errorCode ?? event.reason ?? event.operation,
          ...(event.errorMessage === undefined ? {} : { lastError: event.errorMessage }),
        };
      }
    } catch {
      // A service without a history: the state alone has to do.
    }
    return {};
  }
}
