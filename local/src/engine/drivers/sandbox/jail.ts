/**
 * Where layers are copied: the tools see nothing of the host but its programs, since a machine may put a link in
 * the place of a folder while they walk. The process ends with the control plane.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DriverError, type PipedProgram } from "../../driver";
import { startPiped } from "../piped-program";
import { asOwner, hostEnv, type SandboxHost } from "./host";

/** What the tools say of a file that was changed or removed before they came to it. */
const moved =
  /No such (file or directory|device or address)|Not a directory|Is a directory|as it was replaced while|file changed as we|File (removed before|shrank by)|Too many levels of|due to previous errors|cannot overwrite/;

type Step = "scan" | "check" | "copy" | "whiteout" | "delta";

/** "strict" fails with the step; "loose" expects that files come and go meanwhile. */
type Strictness = "strict" | "loose";

export class Jail {
  private readonly answers: AsyncIterator<string>;
  private readonly kill = (): void => this.program.kill();

  private constructor(
    private readonly program: PipedProgram,
    private readonly job: string,
    private readonly signal: AbortSignal,
  ) {
    this.answers = createInterface({ input: program.stdout })[Symbol.asyncIterator]();
  }

  /** `from` is a folder, or lower folders to be merged, relative to the state folder and the topmost first. */
  static async open(
    host: SandboxHost,
    job: string,
    from: string | readonly string[],
    signal: AbortSignal,
  ): Promise<Jail> {
    const [unshare = "unshare", ...user] = asOwner(host);
    const source = typeof from === "string" ? [from] : ["", ...from];
    const program = await startPiped(
      [
        ...[unshare, ...user, "--mount", "--propagation", "private", "--pid", "--fork"],
        ...[
          "/bin/sh",
          join(host.scripts, "jail.sh"),
          host.stateDir,
          host.template,
          host.mode,
          job,
          ...source,
        ],
      ],
      { folder: job, prefix: [], cgroups: [], env: hostEnv },
    );
    const jail = new Jail(program, job, signal);
    signal.addEventListener("abort", jail.kill, { once: true });
    if (signal.aborted) jail.kill();
    let said = "";
    program.stderr.on("data", (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-4096)));
    try {
      await jail.answer();
    } catch {
      await jail.close();
      signal.throwIfAborted();
      throw failed(said.trim() || "the place to copy it in could not be made");
    }
    return jail;
  }

  /** Answers whether it went without a complaint. @throws DriverError snapshot_failed. */
  async step(name: Step, strictness: Strictness = "strict"): Promise<boolean> {
    this.program.stdin.write(`${name}\n`);
    const code = await this.answer();
    if (code === 0) return true;
    const said = (await readFile(join(this.job, "errors"), "latin1")).trim();
    const wrong = said.split("\n").filter((line) => strictness === "strict" || !moved.test(line));
    if (wrong.length > 0) throw failed(wrong.join("\n").slice(0, 1024) || `${name} ended with ${code}`);
    return false;
  }

  async close(): Promise<void> {
    this.signal.removeEventListener("abort", this.kill);
    this.kill();
    await this.program.exited;
  }

  private async answer(): Promise<number> {
    const line = await this.answers.next();
    this.signal.throwIfAborted();
    if (line.done) throw failed("what copies it was killed");
    return Number(line.value);
  }
}

export function failed(words: string): DriverError {
  return new DriverError("snapshot_failed", `the disk could not be copied: ${words}`, true);
}
