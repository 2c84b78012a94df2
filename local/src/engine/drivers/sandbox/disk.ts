/** A machine's own disk: the upper layer of its overlay, and the folders that mounting it needs. */
import { chown, lstat, mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { MachineSpec } from "../../driver";
import { makePrivate, removeTree, type MachineFolder } from "../machine-folder";
import type { SandboxHost } from "./host";

/**
 * Makes the disk when there is none. One that exists is never looked into: the machine may have put links there that
 * lead to the host's files.
 */
export async function prepareDisk(
  machine: MachineFolder,
  spec: MachineSpec,
  host: SandboxHost,
): Promise<void> {
  for (const name of ["", "work", "root", "exec"]) await makePrivate(join(machine.path, name));
  const upper = join(machine.path, "upper");
  if (await lstat(upper).catch(() => undefined)) return;
  const draft = join(machine.path, "upper.new");
  await removeTree(draft);
  // Seen inside as / and /etc, so they have those modes; the machine's own folder keeps everybody else out.
  const own = async (path: string): Promise<void> => {
    if (host.mode === "root") await chown(path, host.uidBase, host.uidBase);
  };
  for (const folder of [draft, join(draft, "etc")]) {
    await mkdir(folder, { mode: 0o755 });
    await own(folder);
  }
  const files = {
    hostname: `${spec.hostname}\n`,
    hosts: `127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 ${spec.hostname}\n`,
  };
  for (const [name, text] of Object.entries(files)) {
    const file = join(draft, "etc", name);
    await writeFile(file, text, { mode: 0o644 });
    await own(file);
  }
  await rename(draft, upper);
}
