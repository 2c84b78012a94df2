import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** A folder for one test, removed when the test ends (`await using`). */
export class TestFolder implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async make(): Promise<TestFolder> {
    return new TestFolder(await mkdtemp(join(tmpdir(), "pulumi-machines-tools-")));
  }

  at(...names: string[]): string {
    return join(this.path, ...names);
  }

  async file(name: string, text: string): Promise<string> {
    const path = this.at(name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    return path;
  }

  /** A shell script; PATH holds the test's folders only, so programs are named in full. */
  async script(name: string, body: string): Promise<string> {
    const path = this.at(name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

const companions = ["pulumi-language-nodejs", "pulumi-resource-pulumi-nodejs"];

/** A folder with a `pulumi` that says its version, and with what belongs to it. */
export async function installFakeCli(folder: TestFolder, name: string, version: string): Promise<string> {
  await folder.script(join(name, "pulumi"), `echo v${version}`);
  for (const companion of companions) await folder.script(join(name, companion), "exit 0");
  return folder.at(name);
}

/** A `go` that "builds" executables at once and notes each build in `builds.log`. */
export async function installFakeGo(
  folder: TestFolder,
  version: string,
  whileBuilding = "",
): Promise<string> {
  await folder.script(
    "go/go",
    `
if [ "$1" = env ]; then echo go${version}; echo local; exit 0; fi
echo "$PWD" >> "${folder.at("builds.log")}"
${whileBuilding}
while [ $# -gt 0 ]; do if [ "$1" = -o ]; then out=$2; fi; shift; done
/bin/mkdir -p "$out"
case "$PWD" in
  */cli) name=pulumi ;;
  *) name=pulumi-language-nodejs ;;
esac
printf '#!/bin/sh\\necho v3.250.0\\n' > "$out/$name"
/bin/chmod +x "$out/$name"`,
  );
  return folder.at("go");
}
