import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { run } from "./child.mjs";
import { isAtLeast } from "./version.mjs";

/** From this version on, Go fetches the toolchain that a go.mod asks for, unless GOTOOLCHAIN says otherwise. */
const firstSwitchingGo = "1.21.0";

/** `go1.26.8` -> `1.26.8`, `go1.26` -> `1.26.0`, `go1.27rc1` -> `1.27.0-rc1`, `go1.26.8-X:...` -> `1.26.8`. */
export function parseGoVersion(text) {
  const match = /^go(\d+)\.(\d+)(?:\.(\d+))?(rc\d+|beta\d+)?/.exec(text.trim());
  return match && `${match[1]}.${match[2]}.${match[3] ?? 0}${match[4] ? `-${match[4]}` : ""}`;
}

/** Why this Go cannot build a module that asks for `wanted`; undefined when it can. */
export function problemOfGo({ version, toolchain, wanted }) {
  if (version && isAtLeast(version, wanted)) return undefined;
  const fetchesToolchain = toolchain !== "local" && !/^go1/.test(toolchain) && toolchain !== "path";
  if (version && fetchesToolchain && isAtLeast(version, firstSwitchingGo)) return undefined;
  return `go is ${version ?? "of an unknown version"}, and ${wanted} or newer is needed`;
}

/** What the go.mod asks for with its `go` line. */
export async function goLine(goMod) {
  return /^go (\S+)$/m.exec(await readFile(goMod, "utf8"))[1];
}

/** Asks the Go on PATH what it is, away from any module so that it does not switch while being asked. */
export async function findProblemOfGo({ env, signal, wanted }) {
  try {
    const { code, output } = await run("go", ["env", "GOVERSION", "GOTOOLCHAIN"], {
      cwd: tmpdir(),
      env,
      signal,
    });
    if (code !== 0) return `go does not run: ${output.trim().split("\n").at(-1)}`;
    const [version, toolchain] = output.trim().split("\n");
    return problemOfGo({ version: parseGoVersion(version), toolchain, wanted });
  } catch (error) {
    if (error.code === "ENOENT") return "there is no go";
    throw error;
  }
}
