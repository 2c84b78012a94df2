/**
 * An example as a user has it: its folder copied, a stack of its own, deployed with the real CLI to a control plane of its
 * own. The commands of its README are run as they stand there.
 */
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { start, type Outcome } from "../../e2e/support/run";
import { repository, Stack } from "../../e2e/support/stack";

export class Example extends Stack {
  private readonly readme: string;

  constructor(private readonly example: string) {
    super("sandbox");
    this.readme = readFileSync(join(repository, "examples", example, "README.md"), "utf8");
    // What an installation puts there.
    const bin = join(this.folder, "bin");
    mkdirSync(bin);
    for (const name of ["pulumi-machines", "machines-local"]) {
      const folder = name === "machines-local" ? "local" : "provider";
      symlinkSync(join(repository, folder, "bin", `${name}.cjs`), join(bin, name));
    }
    this.env.PATH = `${bin}:${this.env.PATH ?? ""}`;
    rmSync(join(this.project, "program.cjs"));
    const folder = join(repository, "examples", example);
    const notModules = (path: string): boolean => !path.includes("node_modules");
    cpSync(folder, this.project, { recursive: true, filter: notModules });
    // The support finds the state by the project's name.
    const file = join(this.project, "Pulumi.yaml");
    writeFileSync(file, readFileSync(file, "utf8").replace(/^name: .*$/m, "name: shop"));
  }

  /**
   * Runs the one block of commands in the README that has this text, as it stands there. Goes on after a command that fails, as
   * a person does; the exit code is that of the last one.
   */
  async follow(text: string): Promise<Outcome> {
    const blocks = [...this.readme.matchAll(/^```sh\n([^]*?)^```/gm)].map(([, block = ""]) => block);
    const [block, ...others] = blocks.filter((one) => one.includes(text));
    if (block === undefined || others.length > 0) throw new Error(`not one block of the README has ${text}`);
    // What npx does with a package that is installed, without the seconds that it takes.
    const script = `npx() { "$@"; }\n${block}`;
    return start("/bin/sh", ["-c", script], { cwd: this.project, env: this.env }).ended;
  }

  /** The lines of what the README says that the terminal shows, each as a pattern; "..." stands for anything. */
  shown(text: string): RegExp[] {
    const blocks = [...this.readme.matchAll(/^```text\n([^]*?)^```/gm)].map(([, block = ""]) => block);
    const block = blocks.find((one) => one.includes(text));
    if (block === undefined) throw new Error(`no block of the README shows ${text}`);
    return block
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "" && line !== "...")
      .map((line) => new RegExp(line.split("...").map(escaped).join(".*")));
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

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
