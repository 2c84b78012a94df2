/**
 * What the program gave as content, in a form that reaches the provider, and its hash. Assets and archives do not reach a
 * dynamic provider as such: they are looked at here, in the program, and what is large stays on disk until it is written.
 */
import { existsSync, lstatSync, readdirSync, readFileSync } from "node:fs";
import { join, posix, resolve } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import type { Source } from "./args";
import { contentsOf, type Entry } from "./entries";
import { archiveHash, fileHash } from "./hash";
import { isPacked, unpacked } from "./packed";

export type Content = string | pulumi.asset.Asset | pulumi.asset.Archive;

export interface Resolved {
  source: Source;
  /** SHA-256 in lower-case hex: of a file's bytes, or of an archive's names and their hashes. */
  hash: string;
}

/** @throws Error that names what cannot be put into a machine, and what to give instead */
export async function resolveContent(content: Content): Promise<Resolved> {
  if (typeof content === "string") return ofText(content);
  if (pulumi.asset.Asset.isInstance(content)) return ofAsset(content);
  const entries = (await entriesOf(content, "")).sort((a, b) => (a.name < b.name ? -1 : 1));
  const source: Source = { kind: "archive", entries };
  const files = [];
  for await (const file of contentsOf(entries)) files.push(file.hashed);
  return { source, hash: archiveHash(files) };
}

const ofText = (text: string): Resolved => ({
  source: { kind: "text", text },
  hash: fileHash(Buffer.from(text)),
});

/** The members that Pulumi's assets have, by their kind. */
interface Parts {
  text?: string | Promise<string>;
  path?: string | Promise<string>;
  uri?: string | Promise<string>;
  assets?: Record<string, Content> | Promise<Record<string, Content>>;
}

async function ofAsset(asset: pulumi.asset.Asset): Promise<Resolved> {
  const { text, path, uri } = asset as Parts;
  if (text !== undefined) return ofText(await text);
  if (path === undefined) throw remote(await uri);
  const file = await existing(path);
  return { source: { kind: "file", path: file }, hash: fileHash(readFileSync(file)) };
}

async function entriesOf(content: Content, below: string): Promise<Entry[]> {
  const { text, path, uri, assets } = content as Parts;
  if (assets !== undefined) {
    const nested = Object.entries(await assets).map(([name, part]) =>
      entriesOf(part, posix.join(below, safe(name))),
    );
    return (await Promise.all(nested)).flat();
  }
  if (text !== undefined) return [{ name: below, text: await text }];
  if (path === undefined) throw remote(await uri);
  const place = await existing(path);
  if (pulumi.asset.Asset.isInstance(content)) return [{ name: below, path: place }];
  if (lstatSync(place).isDirectory()) return filesBelow(place, below);
  if (isPacked(place)) {
    const files = await unpacked(place);
    return files.map(({ member }) => ({ name: posix.join(below, safe(member)), path: place, member }));
  }
  throw new Error(
    `"${place}" is a packed archive, and neither .tar nor .tar.gz nor .tgz: give the folder, as ` +
      `new pulumi.asset.FileArchive("folder"), or put it into the machine with a FileAsset and unpack it with a Command`,
  );
}

/** Links are not followed: what they name may be elsewhere, or nowhere in the machine. */
function filesBelow(folder: string, below: string): Entry[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((item) => {
    const path = join(folder, item.name);
    const name = posix.join(below, safe(item.name));
    if (item.isDirectory()) return filesBelow(path, name);
    if (item.isFile()) return [{ name, path }];
    throw new Error(`"${path}" is neither a file nor a folder: leave it out of the archive`);
  });
}

function safe(name: string): string {
  const parts = name.split("/");
  if (parts.every((part) => part !== "" && part !== "." && part !== "..") && !/[\0\n\\]/.test(name))
    return name;
  throw new Error(`the name ${JSON.stringify(name)} cannot be that of a file in an archive`);
}

async function existing(path: string | Promise<string>): Promise<string> {
  const place = resolve(await path);
  if (!existsSync(place)) throw new Error(`there is no "${place}" to put into a machine`);
  return place;
}

const remote = (uri: string | undefined): Error =>
  new Error(
    `a remote asset (${uri ?? "no address"}) is not fetched: download it in the machine with a Command, or give a file of this computer`,
  );
