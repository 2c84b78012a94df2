/** Opaque proofs that a create hands out and that commands over REST give back; only for machines made by this client. */

/** More are not kept: a proof is optional, and the oldest machine is the one most likely gone. */
const mostKept = 1_000;

export const dispatchProofHeader = "x-nullspace-dispatch-proof";

export class DispatchProofs {
  // Not shown when somebody prints a client.
  readonly #proofs = new Map<string, string>();

  keep(machineId: string, proof: string | undefined): void {
    if (proof === undefined) return;
    this.#proofs.set(machineId, proof);
    const oldest = this.#proofs.size > mostKept ? this.#proofs.keys().next().value : undefined;
    if (oldest !== undefined) this.#proofs.delete(oldest);
  }

  of(machineId: string): string | undefined {
    return this.#proofs.get(machineId);
  }

  forget(machineId: string): void {
    this.#proofs.delete(machineId);
  }
}
