import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

export const repoRoot = join(__dirname, "..", "..");
const execute = promisify(execFile);

/** The tools are ES modules that run before anything is built, so a test calls them in a Node of their own. */
const program = `
const [file, name, calls] = process.argv.slice(1);
const exported = (await import(file))[name];
const results = [];
for (const args of JSON.parse(calls)) {
  if (typeof exported !== "function") results.push({ value: exported });
  else results.push(await Promise.resolve().then(() => exported(...args)).then(
    (value) => ({ value: value ?? null }),
    (error) => ({ error: error.message, code: error.code }),
  ));
}
console.log(JSON.stringify(results));
`;

export interface Outcome {
  value?: unknown;
  error?: string;
  code?: string;
}

/** Calls an export of `tools/<file>` once per list of arguments; undefined comes back as null. */
export async function callEach(
  file: string,
  name: string,
  calls: readonly (readonly unknown[])[],
): Promise<Outcome[]> {
  const { stdout } = await execute(process.execPath, [
    "--input-type=module",
    "-e",
    program,
    "--",
    join(repoRoot, "tools", file),
    name,
    JSON.stringify(calls),
  ]);
  return JSON.parse(stdout) as Outcome[];
}

export async function call(file: string, name: string, ...args: unknown[]): Promise<Outcome> {
  const [outcome] = await callEach(file, name, [args]);
  if (!outcome) throw new Error(`${name} of ${file} gave no outcome`);
  return outcome;
}
