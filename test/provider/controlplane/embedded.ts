/** A control plane in this process with machines that really run, for tests of the adapters. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startLocal } from "@pulumi-machines/local";
import { removeStateFolder } from "../../support/state-folder";
import type { ControlPlane, MachineSpec } from "../../../provider/src/controlplane/port";

type Local = Awaited<ReturnType<typeof startLocal>>;

export async function startEmbedded(driver: "auto" | "null" = "auto"): Promise<Local> {
  const stateDir = mkdtempSync(join(tmpdir(), "machines-adapter-"));
  const local = await startLocal({ stateDir, port: 0, driver, allowHttpWebhooks: true });
  const close = async (): Promise<void> => {
    await local.close();
    await removeStateFolder(stateDir, local.driver);
  };
  return { ...local, close, [Symbol.asyncDispose]: close };
}

export const size = { vcpu: 0.5, memoryMiB: 256, storageGiB: 1 };
export const never = new AbortController().signal;

let keys = 0;
export const keyed = (
  idempotencyKey = `k-${String(++keys)}`,
): { signal: AbortSignal; idempotencyKey: string } => ({
  signal: never,
  idempotencyKey,
});

/** Follows the machine to the end of its way. */
export async function settled(plane: ControlPlane, id: string, phase: string): Promise<void> {
  let last = "";
  for await (const view of plane.watchMachine(id, { signal: never })) {
    last = `${view.phase} ${view.lastError ?? ""}`;
    if (view.phase === phase) return;
  }
  const now = await plane.getMachine(id, { signal: never });
  if (now.phase !== phase) throw new Error(`machine ${id} is ${now.phase}, last ${last}`);
}

export async function running(plane: ControlPlane, spec: MachineSpec = size): Promise<string> {
  const { id } = await plane.createMachine(spec, keyed());
  await settled(plane, id, "running");
  return id;
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
