/** Runs `pulumi preview --json` and keeps what it printed. */
import { spawn } from "node:child_process";

export interface RunOptions {
  /** Name or path of the CLI. */
  pulumi: string;
  stack?: string;
  cwd?: string;
  /** For `pulumi preview`, as they are. */
  more: readonly string[];
}

export interface PreviewRun {
  stdout: string;
  /** The end of it, at most 8 KiB. */
  stderr: string;
  code: number | null;
}

/** Pulumi cannot be run; says what to do. */
export class PulumiMissingError extends Error {
  override readonly name = "PulumiMissingError";
}

const keptOfStderr = 8_192;
const maxStdout = 256 * 1024 * 1024;

/** What Pulumi says on standard error goes to ours as it comes. */
export async function runPreview({ pulumi, stack, cwd, more }: RunOptions): Promise<PreviewRun> {
  const args = ["preview", "--json", "--show-sames", "--non-interactive"];
  if (stack !== undefined) args.push("--stack", stack);
  // The variable turns the one JSON document into a stream of events.
  const { PULUMI_ENABLE_STREAMING_JSON_PREVIEW: _, ...env } = process.env;
  const child = spawn(pulumi, [...args, ...more], {
    ...(cwd === undefined ? {} : { cwd }),
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const chunks: Buffer[] = [];
  let size = 0;
  let stderr = "";
  let tooLong = false;
  child.stdout.on("data", (chunk: Buffer) => {
    size += chunk.length;
    tooLong ||= size > maxStdout;
    if (tooLong) child.kill();
    else chunks.push(chunk);
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    process.stderr.write(chunk);
    stderr = (stderr + chunk).slice(-keptOfStderr);
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", (error: NodeJS.ErrnoException) => reject(startFailure(error, pulumi, cwd)));
    child.on("close", resolve);
  });
  if (tooLong) throw new Error(`the preview is longer than ${String(maxStdout / 1024 / 1024)} MiB`);
  return { stdout: Buffer.concat(chunks).toString("utf8"), stderr, code };
}

function startFailure(error: NodeJS.ErrnoException, pulumi: string, cwd: string | undefined): Error {
  if (error.code !== "ENOENT")
    return new PulumiMissingError(`"${pulumi}" could not be started: ${error.message}`);
  const where = cwd === undefined ? "" : `, or there is no folder ${cwd}`;
  return new PulumiMissingError(
    `"${pulumi}" was not found${where}; install Pulumi (https://www.pulumi.com/docs/install), or name it with --pulumi PATH`,
  );
}
