/** A stack whose program is environment.cjs, and what is there at its control plane. */
import { NullspaceClient } from "@pulumi-machines/sdk";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Stack, type RecordedResource } from "./stack";

export interface Program {
  environments?: Record<string, Record<string, unknown>>;
  snapshots?: Record<
    string,
    { args?: Record<string, unknown>; opts?: Record<string, unknown>; get?: string }
  >;
}

export class EnvironmentStack extends Stack {
  private opened: NullspaceClient | undefined;

  constructor(driver: "null" | "sandbox") {
    super(driver);
    copyFileSync(join(__dirname, "environment.cjs"), join(this.project, "program.cjs"));
  }

  program(program: Program): void {
    writeFileSync(join(this.project, "environment.json"), JSON.stringify(program));
  }

  async deploy(program: Program): Promise<string> {
    this.program(program);
    return this.must("up", "--yes", "--skip-preview");
  }

  named(name: string): RecordedResource | undefined {
    return this.resources().find(({ urn }) => urn.endsWith(`::${name}`));
  }

  idOf(name: string): string {
    const id = this.named(name)?.id;
    if (id === undefined) throw new Error(`the state holds no "${name}"`);
    return id;
  }

  get nullspace(): NullspaceClient {
    const { dedalus, apiKey } = this.plane.endpoint();
    return (this.opened ??= new NullspaceClient({
      baseUrl: dedalus.replace(/dedalus$/, "nullspace"),
      apiKey,
    }));
  }

  /** What the control plane holds. */
  async snapshotIds(): Promise<string[]> {
    const ids: string[] = [];
    for await (const { id } of this.nullspace.snapshots.list()) ids.push(id);
    return ids;
  }

  /** Machines that run, or sleep. */
  async machineIds(): Promise<string[]> {
    return (await this.plane.machines()).map(({ machineId }) => machineId);
  }

  /** What has happened to a machine, but for its snapshots. */
  async operationsOf(machineId: string): Promise<string[]> {
    const operations: string[] = [];
    const filter = {
      machineId: machineId.replace(/^dm-/, "mch_"),
      status: "succeeded",
      order: "asc",
    } as const;
    for await (const { operation } of this.nullspace.lifecycle.list(filter)) operations.push(operation);
    return operations.filter((operation) => operation !== "snapshot_created");
  }

  /** What a line says in a machine. */
  async says(machineId: string, line: string): Promise<string> {
    const { stdout } = await this.plane.client.executions.run(machineId, { command: ["sh", "-c", line] });
    return stdout;
  }

  override async dispose(): Promise<void> {
    await this.opened?.close();
    await super.dispose();
  }
}
