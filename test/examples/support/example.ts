/** An example as a user has it: its folder copied, a stack of its own, deployed with the real CLI to a control plane of its own. */
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { start, type Outcome } from "../../e2e/support/run";
import { repository, Stack } from "../../e2e/support/stack";

export class Example extends Stack {
  constructor(private readonly example: string) {
    super("sandbox");
    rmSync(join(this.project, "program.cjs"));
    const folder = join(repository, "examples", example);
    const notModules = (path: string): boolean => !path.includes("node_modules");
    cpSync(folder, this.project, { recursive: true, filter: notModules });
    // The support finds the state by the project's name.
    const file = join(this.project, "Pulumi.yaml");
    writeFileSync(file, readFileSync(file, "utf8").replace(/^name: .*$/m, "name: shop"));
  }

  /** The stack's outputs. */
  async outputs(): Promise<Record<string, unknown>> {
    const { text } = await this.pulumi("stack", "output", "--json");
    return JSON.parse(text.slice(text.indexOf("{"))) as Record<string, unknown>;
  }

  /** Puts one of the example's own fault scripts in force. */
  async rehearse(script: string): Promise<void> {
    const text = readFileSync(join(repository, "examples", this.example, script), "utf8");
    await this.plane.faults(...(JSON.parse(text) as { rules: object[] }).rules);
  }

  /** `npx pulumi-machines ...` in the project. */
  async machines(...args: string[]): Promise<Outcome> {
    const bin = join(repository, "provider", "bin", "pulumi-machines.cjs");
    return start(process.execPath, [bin, ...args], { cwd: this.project, env: this.env }).ended;
  }
}
