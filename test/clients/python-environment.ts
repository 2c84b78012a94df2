/** A Python with the vendor's own client in it, made once per user and requirements, outside the work tree. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
/** Whoever asks runs at the root of the repository. */
const requirements = resolve("test/clients/requirements.txt");

/**
 * Path of its interpreter. The first call on a machine downloads the packages from PyPI.
 * @throws with what to install when there is no usable Python.
 */
export async function pythonWithClients(): Promise<string> {
  const { stdout: version } = await python("python3", ["-c", "import sys; print(sys.version)"]);
  const hash = createHash("sha256").update(readFileSync(requirements)).update(version).digest("hex");
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "pulumi-machines");
  const folder = join(cache, `python-${hash.slice(0, 16)}`);
  const interpreter = join(folder, "bin", "python");
  if (existsSync(interpreter)) return interpreter;
  mkdirSync(cache, { recursive: true });
  // Made aside and renamed when complete, so that a broken download leaves nothing that looks whole.
  const draft = `${folder}.${String(process.pid)}`;
  try {
    await python("python3", ["-m", "venv", draft]);
    const pip = [
      "-m",
      "pip",
      "install",
      "--quiet",
      "--disable-pip-version-check",
      "--requirement",
      requirements,
    ];
    await python(join(draft, "bin", "python"), pip);
    renameSync(draft, folder);
  } catch (error) {
    // Another test run may have been faster.
    if (!existsSync(interpreter)) throw error;
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return interpreter;
}

async function python(program: string, args: string[]): Promise<{ stdout: string }> {
  try {
    return await run(program, args, { encoding: "utf8" });
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    throw new Error(
      `the vendor's client cannot be set up: ${program} ${args.slice(0, 3).join(" ")} failed. It needs Python 3.9 or newer ` +
        `with venv (Debian: apt-get install python3 python3-venv) and a way to PyPI.\n${stderr?.trim() || message}`,
      { cause: error },
    );
  }
}
