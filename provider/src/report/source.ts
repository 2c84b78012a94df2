/** Where a report's preview comes from: standard input, or a run of Pulumi. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readPreview, type Preview } from "./preview";
import { runPreview, type RunOptions } from "./run-preview";

const maxInput = 256 * 1024 * 1024;

export interface Source {
  preview: Preview;
  /** What the folder and the options say, for a preview that failed before it knew a resource. */
  project?: string;
  stack?: string;
}

/** @throws PreviewFormatError */
export async function fromStandardInput(input: NodeJS.ReadableStream): Promise<Source> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of input) {
    const bytes = Buffer.from(chunk as Buffer);
    size += bytes.length;
    if (size > maxInput) throw new Error(`the preview is longer than ${String(maxInput / 1024 / 1024)} MiB`);
    chunks.push(bytes);
  }
  return { preview: readPreview(Buffer.concat(chunks).toString("utf8")) };
}

/** A run that fails without a preview is a preview that failed: its words are in the diagnostics. */
export async function fromPulumi(options: RunOptions): Promise<Source> {
  const { stdout, stderr, code } = await runPreview(options);
  const project = projectIn(options.cwd ?? ".");
  const place = {
    ...(project === undefined ? {} : { project }),
    ...(options.stack === undefined ? {} : { stack: options.stack.split("/").at(-1) ?? options.stack }),
  };
  const preview: Preview =
    stdout.trim() === "" ? { steps: [], diagnostics: [], config: {}, complete: false } : readPreview(stdout);
  const told = preview.diagnostics.some(({ severity }) => severity === "error");
  if (code !== 0 && !told) {
    const message = stderr.trim() || `pulumi preview ended with ${String(code)} and said nothing`;
    preview.diagnostics.push({ severity: "error", message });
  }
  return { preview, ...place };
}

/** The name in Pulumi.yaml; undefined without one. */
function projectIn(folder: string): string | undefined {
  for (const file of ["Pulumi.yaml", "Pulumi.yml", "Pulumi.json"]) {
    try {
      const text = readFileSync(join(folder, file), "utf8");
      return /^\s*"?name"?\s*:\s*["']?([A-Za-z0-9_.-]+)/m.exec(text)?.[1];
    } catch {
      // Another name, or a folder below the project's: the report does without.
    }
  }
  return undefined;
}
