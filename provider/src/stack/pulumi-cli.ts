/** The Pulumi CLI, as far as a stack is looked after with it. What it prints may hold secrets: it goes nowhere by itself. */
import { execFile } from "node:child_process";
import { oneLine } from "../one-line";

export interface CliOptions {
  /** Name or path of the CLI. */
  pulumi: string;
  /** Default the selected one. */
  stack?: string;
  /** The project's folder, or one below it. */
  cwd: string;
  env: NodeJS.ProcessEnv;
}

/** Pulumi could not be run, or refused; says what it was asked for and what it said. */
export class PulumiError extends Error {
  override readonly name = "PulumiError";
}

interface Run {
  code: number;
  stdout: string;
  stderr: string;
}

const maxOutput = 256 * 1024 * 1024;

export class PulumiCli {
  constructor(private readonly options: CliOptions) {}

  /** Such as "3.250.0". */
  async version(): Promise<string> {
    return (await this.must("version")).trim().replace(/^v/, "");
  }

  /** The deployment as text; secrets in it are ciphertext. */
  export(): Promise<string> {
    return this.must("stack", "export", ...this.stack());
  }

  /** The newest updates as JSON text. @param count At most so many. */
  async history(count: number): Promise<string> {
    const page = ["--page", "1", "--page-size", String(count), ...this.stack()];
    const run = await this.run(["stack", "history", "--json", ...page]);
    if (run.code === 0) return run.stdout;
    // Newer ones have the flag only under its other name.
    return run.stderr.includes("unknown flag")
      ? this.must("stack", "history", "--output", "json", ...page)
      : this.fail(["stack", "history"], run);
  }

  /** Every key of the configuration, secrets without their values. */
  config(): Promise<string> {
    return this.must("config", "--json", "--open", ...this.stack());
  }

  /** One value of the configuration in the clear. Never print it. */
  async secret(key: string): Promise<string> {
    return (await this.must("config", "get", key, ...this.stack())).replace(/\r?\n$/, "");
  }

  /** Name of the stack, without its organization. */
  async stackName(): Promise<string> {
    return (await this.must("stack", "--show-name", ...this.stack())).trim();
  }

  /** Drops a resource from the state that does not exist any more, as a refresh does. */
  async refreshOnly(urn: string): Promise<void> {
    const quietly = ["--yes", "--skip-preview", "--skip-pending-creates", "--target", urn];
    await this.must("refresh", ...quietly, ...this.stack());
  }

  /** Puts the state back as it is, without its pending operations. Refused while an update runs. */
  async clearPending(): Promise<void> {
    const deployment = await this.export();
    await this.must("stack", "import", { input: deployment }, ...this.stack());
  }

  private stack(): string[] {
    return this.options.stack === undefined ? [] : ["--stack", this.options.stack];
  }

  private async must(...args: (string | { input: string })[]): Promise<string> {
    const words = args.filter((arg) => typeof arg === "string");
    const input = args.find((arg) => typeof arg === "object")?.input;
    const run = await this.run(words, input);
    return run.code === 0 ? run.stdout : this.fail(words, run);
  }

  private run(args: readonly string[], input?: string): Promise<Run> {
    const { pulumi, cwd, env } = this.options;
    return new Promise((resolve, reject) => {
      const child = execFile(
        pulumi,
        [...args, "--non-interactive", "--color", "never"],
        { cwd, env, maxBuffer: maxOutput, encoding: "utf8" },
        (error, stdout, stderr) => {
          const code = error === null ? 0 : error.code;
          if (typeof code === "number") resolve({ code, stdout, stderr });
          else reject(startFailure(error as NodeJS.ErrnoException, pulumi, cwd));
        },
      );
      // A CLI that refuses at once does not read to the end; its own words say why.
      child.stdin?.on("error", () => undefined);
      child.stdin?.end(input);
    });
  }

  private fail(args: readonly string[], { code, stdout, stderr }: Run): never {
    const errors = stderr.split("\n").filter((line) => line.startsWith("error:"));
    const said = errors.length > 0 ? errors.join(" ") : stderr.trim() || stdout.trim().slice(-500);
    const what = args.slice(0, 2).filter((word) => !word.startsWith("-"));
    throw new PulumiError(
      `"pulumi ${what.join(" ")}" ended with ${String(code)}: ${oneLine(said) || "it said nothing"}`,
    );
  }
}

function startFailure(error: NodeJS.ErrnoException, pulumi: string, cwd: string): PulumiError {
  if (error.code !== "ENOENT") return new PulumiError(`"${pulumi}" could not be run: ${error.message}`);
  return new PulumiError(
    `"${pulumi}" was not found, or there is no folder ${cwd}; install Pulumi (https://www.pulumi.com/docs/install), or name it ` +
      `with --pulumi PATH`,
  );
}
