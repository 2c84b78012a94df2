/**
 * An example as a user has it: its folder copied, a stack of its own, deployed with the real CLI to a control plane of its
 * own. The commands of its README are run as they stand there.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { start, type Outcome, type Running } from "../../e2e/support/run";
import { repository, Stack, type RecordedResource } from "../../e2e/support/stack";
// eslint-disable-next-line @typescript-eslint/no-require-imports -- it has no types of its own
const { load } = require("js-yaml") as { load: (text: string) => unknown };

interface Step {
  name?: string;
  run: string;
  env: Record<string, string>;
}

export class Example extends Stack {
  private readonly readme: string;

  /** @param stackName As the README calls it. */
  constructor(
    private readonly example: string,
    private readonly stackName = "dev",
  ) {
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
  }

  override begin(...args: string[]): Running {
    const all = [...args, "--non-interactive", "--stack", this.stackName];
    return start("pulumi", all, { cwd: this.project, env: this.env });
  }

  override resources(): RecordedResource[] {
    const stacks = join(this.folder, "backend", ".pulumi", "stacks");
    const file = join(stacks, this.example, `${this.stackName}.json`);
    if (!existsSync(file)) return [];
    const { checkpoint } = JSON.parse(readFileSync(file, "utf8")) as {
      checkpoint: { latest?: { resources?: RecordedResource[] } };
    };
    return checkpoint.latest?.resources ?? [];
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
    return this.shell(`npx() { "$@"; }\n${block}`);
  }

  shell(script: string, env: Record<string, string> = {}): Promise<Outcome> {
    return start("/bin/sh", ["-c", script], { cwd: this.project, env: { ...this.env, ...env } }).ended;
  }

  /** A step of a workflow that lies in the example. */
  step(file: string, name: string): Step {
    const text = readFileSync(join(this.project, file), "utf8");
    const { jobs } = load(text) as { jobs: Record<string, { steps: Step[] }> };
    const found = Object.values(jobs)
      .flatMap(({ steps }) => steps)
      .find((step) => step.name === name);
    if (!found) throw new Error(`${file} has no step "${name}"`);
    return found;
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
      .map((line) => new RegExp(patternOf(line)));
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
}

/** Whether a phase that lasted no time was seen is chance. */
const patternOf = (line: string): string =>
  line
    .split("...")
    .map(escaped)
    .join(".*")
    .replace(" failed after starting:", " failed( after starting)?:")
    .replace(/, starting \\\(placed\\\) after \.\*(?=, failed)/, "(, starting \\(placed\\) after .*)?");

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
