/** The read-only lower layer that every sandbox of a state folder shares: a small tree of names and settings. */
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { removeTree } from "../machine-folder";

/** One name of the tree, with its whole content: some hundred small files in all. */
interface Entry {
  path: string;
  mode: number;
  link?: string;
  text?: Buffer | string;
}

const folders: [string, number][] = [
  ...["dev", "etc", "home", "media", "mnt", "opt", "proc", "run", "srv", "sys", "usr"].map(open),
  ...["dev/pts", "dev/shm", "var", "var/cache", "var/lib", "var/local", "var/log", "var/spool"].map(open),
  ["root", 0o700],
  ["tmp", 0o1777],
  ["var/tmp", 0o1777],
];

/** What a machine's /dev is filled with: the devices are mounted on empty files. */
const devices: Entry[] = [
  ...["null", "zero", "full", "random", "urandom", "tty"].map((name) => ({
    ...{ path: `dev/${name}`, mode: 0o644, text: "" },
  })),
  ...[
    ["fd", "/proc/self/fd"],
    ["ptmx", "pts/ptmx"],
    ["stdin", "/proc/self/fd/0"],
    ["stdout", "/proc/self/fd/1"],
    ["stderr", "/proc/self/fd/2"],
  ].map(([name = "", link = ""]) => ({ path: `dev/${name}`, mode: 0o777, link })),
];

/** Real folders on hosts that keep them apart from /usr; the start script mounts the host's there. */
const systemFolders = ["bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix"];

/** Only what everybody on the host may read is copied, so no key and no password hash gets in. */
const settings = [
  ...["alternatives", "bash.bashrc", "ca-certificates", "crypto-policies", "debian_version", "gai.conf"],
  ...[
    "host.conf",
    "hosts",
    "inputrc",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "localtime",
  ],
  ...["magic", "mime.types", "nsswitch.conf", "os-release", "pki", "profile", "profile.d", "protocols"],
  ...["resolv.conf", "rpc", "services", "shells", "ssl", "terminfo", "timezone", "xattr.conf"],
];

/**
 * Makes the tree, owned by `owner` or by us, when its content is new, and answers its folder name. Running machines keep the one they began with,
 * since a lower layer must not change below an overlay. Reads synchronously: once, and several times faster so.
 */
export async function ensureTemplate(stateDir: string, owner: number | undefined): Promise<string> {
  const tree = entries();
  const hash = createHash("sha256").update(String(owner ?? "own"));
  for (const { path, mode, link = "", text = "" } of tree) {
    hash.update(`\0${path}\0${mode}\0${link}\0`).update(text);
  }
  const name = `template-${hash.digest("hex").slice(0, 12)}`;
  if (existsSync(join(stateDir, name))) return name;
  const draft = join(stateDir, `draft-${process.pid}`);
  await removeTree(draft);
  for (const entry of tree) write(draft, entry, owner);
  renameSync(draft, join(stateDir, name));
  return name;
}

/** Removes the trees that no machine uses any more. */
export async function removeOtherTemplates(stateDir: string, used: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(stateDir)) {
    const ours = /^(template-[0-9a-f]{12}|draft-\d+)$/.test(name);
    if (ours && !used.has(name)) await removeTree(join(stateDir, name));
  }
}

function open(name: string): [string, number] {
  return [name, 0o755];
}

function entries(): Entry[] {
  return [
    { path: "", mode: 0o755 },
    ...folders.map(([path, mode]) => ({ path, mode })),
    ...devices,
    ...systemFolders.flatMap(systemFolder),
    ...settings.flatMap((name) => readable(join("/etc", name), join("etc", name))),
    { path: "etc/passwd", mode: 0o644, text: systemAccounts("/etc/passwd", "root:x:0:0:root:/root:/bin/sh") },
    { path: "etc/group", mode: 0o644, text: systemAccounts("/etc/group", "root:x:0:") },
    { path: "etc/mtab", mode: 0o777, link: "/proc/self/mounts" },
  ];
}

function systemFolder(name: string): Entry[] {
  const seen = lstatSync(`/${name}`, { throwIfNoEntry: false });
  if (seen?.isSymbolicLink()) return [{ path: name, mode: 0o777, link: readlinkSync(`/${name}`) }];
  return seen?.isDirectory() ? [{ path: name, mode: 0o755 }] : [];
}

function readable(from: string, path: string): Entry[] {
  const seen = lstatSync(from, { throwIfNoEntry: false });
  if (seen?.isSymbolicLink()) {
    const link = readlinkSync(from);
    // A link into /run (systemd's resolv.conf) would lead nowhere inside, so what it leads to is taken.
    if (!/^(\.\.)?\/?run\//.test(link)) return [{ path, mode: 0o777, link }];
    return existsSync(from) ? [{ path, mode: 0o644, text: readFileSync(from) }] : [];
  }
  if (seen?.isFile() && seen.mode & 0o004)
    return [{ path, mode: seen.mode & 0o755, text: readFileSync(from) }];
  if (!seen?.isDirectory() || (seen.mode & 0o005) !== 0o005) return [];
  const below = readdirSync(from).sort();
  return [{ path, mode: 0o755 }, ...below.flatMap((name) => readable(join(from, name), join(path, name)))];
}

/** Accounts of the system, not of people: below 1000, and nobody. */
function systemAccounts(path: string, root: string): string {
  const lines = existsSync(path) ? readFileSync(path, "utf8").split("\n") : [];
  const kept = lines.filter((line) => {
    const [name, , id] = line.split(":");
    return name !== "root" && id !== undefined && (Number(id) < 1000 || Number(id) === 65534);
  });
  return [root, ...kept, ""].join("\n");
}

function write(draft: string, { path, mode, link, text }: Entry, owner: number | undefined): void {
  const full = join(draft, path);
  if (link !== undefined) symlinkSync(link, full);
  else if (text !== undefined) writeFileSync(full, text);
  else mkdirSync(full);
  if (link === undefined) chmodSync(full, mode); // a mode given at creation is cut by the umask
  if (owner !== undefined) lchownSync(full, owner, owner);
}
