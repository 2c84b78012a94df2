/** The Pulumi project that a folder is in. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

export interface Project {
  /** Where packages of its program are found: first the folder of its program, then its own. */
  folders: string[];
  /** Undefined where there is no project file. */
  name?: string;
}

/** Looks in a folder, and in those above it. */
export function projectOf(cwd: string): Project {
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    const file = ["Pulumi.yaml", "Pulumi.yml"].map((name) => join(folder, name)).find(existsSync);
    if (file !== undefined) return projectIn(folder, readFileSync(file, "utf8"));
    if (dirname(folder) === folder) return { folders: [resolve(cwd)] };
  }
}

function projectIn(folder: string, text: string): Project {
  const member = (name: string): string | undefined =>
    new RegExp(`^${name}:\\s*["']?([^"'\\s#]+)`, "m").exec(text)?.[1];
  const [name, main] = [member("name"), member("main")];
  return {
    folders: main === undefined ? [folder] : [join(folder, main), folder],
    ...(name === undefined ? {} : { name }),
  };
}
