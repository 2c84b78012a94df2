/** The end of a state folder of a test. */
import { rmSync } from "node:fs";
import { ProcessDriver } from "../../local/src/engine/drivers/process-driver";
import { SandboxDriver } from "../../local/src/engine/drivers/sandbox/driver";

/** Removes it, with the machines that still run: they outlive their control plane, which must be closed. */
export async function removeStateFolder(stateDir: string, driverName: string): Promise<void> {
  if (driverName !== "null") {
    const kind = driverName === "process" ? ProcessDriver : SandboxDriver;
    const driver = await kind.create({ stateDir });
    await driver.sweep(new Set(), new Set());
    await driver.close();
  }
  rmSync(stateDir, { recursive: true, force: true });
}
