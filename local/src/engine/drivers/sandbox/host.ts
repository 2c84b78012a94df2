/** What all sandboxes of a state folder share: scripts, template, and which uids machines get. */
import { mkdir, readFile, realpath } from "node:fs/promises";
import { join } from "node:path";
import { DriverError } from "../../driver";
import { execScript } from "../exec-scripts";
import { writeWhole } from "../machine-folder";
import { jailScript } from "./jail-script";
import { enterScript, setupScript, startScript } from "./scripts";
import { ensureTemplate } from "./template";

/** How sandboxes are made by this user on this host. */
export interface SandboxHost {
  stateDir: string;
  /** Folder of start.sh, setup.sh, enter.sh and exec.sh. */
  scripts: string;
  template: string;
  mode: "root" | "user";
  /** The host's uid that is 0 inside, and how many uids follow. */
  uidBase: number;
  uidCount: number;
}

/** The environment of what runs on the host's side: no secret of the control plane is in it. */
export const hostEnv = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };

/** Stands before what must read a machine's files whatever their modes: an ordinary user may, where he is root. */
export function asOwner(host: SandboxHost): string[] {
  return host.mode === "root" ? [] : ["unshare", "--user", "--map-root-user"];
}

/** Far above what hosts give to people, services and other containers; all machines share the range. */
const rootUids = { uidBase: 1_879_048_192, uidCount: 65_536 };

/** @throws DriverError sandbox_unusable. */
export async function prepareHost(stateDir: string): Promise<SandboxHost> {
  if (process.platform !== "linux") {
    const words = `sandboxes need Linux namespaces, and this is ${process.platform}`;
    throw new DriverError("sandbox_unusable", words, false);
  }
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  const real = await realpath(stateDir);
  try {
    const scripts = join(real, "sandbox");
    await mkdir(scripts, { recursive: true, mode: 0o700 });
    const files = {
      ...{ start: startScript, setup: setupScript, enter: enterScript, exec: execScript },
      jail: jailScript,
    };
    for (const [name, text] of Object.entries(files)) await writeWhole(join(scripts, `${name}.sh`), text);
    const uids = (await ownsUids()) ? rootUids : { uidBase: 0, uidCount: 1 };
    const mode = uids === rootUids ? "root" : "user";
    const template = await ensureTemplate(real, mode === "root" ? uids.uidBase : undefined);
    return { stateDir: real, scripts, template, mode, ...uids };
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    throw new DriverError("sandbox_unusable", words, false, { cause: error });
  }
}

/** True for a root that may give files to our range; the root of a rootless container may not. */
async function ownsUids(): Promise<boolean> {
  if (process.getuid?.() !== 0) return false;
  const map = await readFile("/proc/self/uid_map", "utf8");
  const end = rootUids.uidBase + rootUids.uidCount;
  return map.split("\n").some((line) => {
    const [inside = NaN, , count = NaN] = line.trim().split(/\s+/).map(Number);
    return inside <= rootUids.uidBase && inside + count >= end;
  });
}
