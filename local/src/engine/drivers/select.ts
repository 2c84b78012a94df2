/** Chooses what runs machines on this host. */
import { randomBytes } from "node:crypto";
import { DriverError, type Driver } from "../driver";
import { NullDriver } from "./null-driver";
import { ProcessDriver } from "./process-driver";
import { SandboxDriver } from "./sandbox/driver";

/** A sandbox starts in well under a second; a host that takes longer than this is stuck. */
const probeMs = 15_000;

export type DriverChoice = "auto" | "sandbox" | "process" | "null";

export interface DriverOptions {
  /**
   * "auto" (default of the CLI): `sandbox` where one really starts and runs a command, else `process`.
   * A driver that is named is used or refused, never replaced.
   */
  name: DriverChoice;
  /** Absolute. Made with mode 0700 when there is none. */
  stateDir: string;
  log: (line: string) => void;
}

/** @throws DriverError sandbox_unusable: asked for by name and it does not work; `message` is what the system said. */
export async function createDriver({ name, stateDir, log }: DriverOptions): Promise<Driver> {
  if (name === "null") return new NullDriver();
  if (name === "process") return ProcessDriver.create({ stateDir });
  try {
    const driver = await SandboxDriver.create({ stateDir });
    await probeSandbox(driver);
    return driver;
  } catch (error) {
    if (name === "sandbox" || !(error instanceof DriverError)) throw error;
    log(`sandboxes do not work on this host (${error.message}); machines run as plain processes instead`);
    return ProcessDriver.create({ stateDir });
  }
}

/** Starts a throw-away sandbox and runs `true` in it. One that is left by a kill is found by the next sweep. */
async function probeSandbox(driver: SandboxDriver): Promise<void> {
  const id = `probe${randomBytes(6).toString("hex")}`;
  const size = { vcpu: 1, memoryMiB: 64, storageGiB: 1 };
  try {
    await driver.start(
      { id, hostname: "probe", network: "host", ...size },
      { signal: AbortSignal.timeout(probeMs) },
    );
    const exec = await driver.exec({ executionId: "true", machineId: id, command: ["true"], env: {} });
    const exit = await Promise.race([exec.exited, afterDeadline()]);
    if (exit.exitCode !== 0) {
      throw new DriverError("sandbox_unusable", exit.startError ?? "a command failed in it", false);
    }
  } catch (error) {
    if (error instanceof DriverError) throw error;
    const words = error instanceof Error ? error.message : String(error);
    throw new DriverError("sandbox_unusable", words, false, { cause: error });
  } finally {
    await driver.destroy(id);
  }
}

async function afterDeadline(): Promise<never> {
  await new Promise((resolve) => setTimeout(resolve, probeMs).unref());
  throw new DriverError("sandbox_unusable", `a command did not end within ${probeMs} ms`, false);
}
