/** The command as a child process, from the sources. */
import { spawn } from "node:child_process";
import { writeFileSync, chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { digestOf, madeStep, recorded } from "./digests";

const root = join(__dirname, "..", "..", "..");
const loader = join(root, "test", "local", "drivers", "load-ts.cjs");
const cli = join(root, "provider", "src", "cli.ts");
const main = `require(${JSON.stringify(cli)}).main(["node", "pulumi-machines", ...process.argv.slice(1)])`;

interface Ran {
  code: number | null;
  out: string;
  err: string;
}

function report(args: readonly string[], input?: string, env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  const child = spawn(process.execPath, ["-r", loader, "-e", main, "--", ...args], {
    env: { PATH: process.env.PATH, ...env },
  });
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk) => (out += String(chunk)));
  child.stderr.on("data", (chunk) => (err += String(chunk)));
  child.stdin.on("error", () => undefined).end(input ?? "");
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, out, err }));
  });
}

test("reads a preview, prints Markdown and ends with what it means", async () => {
  const { code, out, err } = await report(["report"], recorded("changes"));
  expect({ code, err }).toEqual({ code: 3, err: "" });
  expect(out).toMatch(/^<!-- pulumi-machines report: shop\/dev -->\n\n### 🔴/);
});

test("the help tells of every command, and of what each takes", async () => {
  const { code, out } = await report(["--help"]);
  expect(code).toBe(0);
  for (const name of ["report", "why", "doctor"]) {
    expect(out).toMatch(new RegExp(`^  ${name} `, "m"));
    expect((await report([name, "--help"])).out).toContain(`Usage: pulumi-machines ${name}`);
  }
  const { err, code: unknown } = await report(["nope"]);
  expect({ err, unknown }).toEqual({
    err: "error: unknown command 'nope'\n(--help shows every option)\n",
    unknown: 1,
  });
});

test("--json prints one object with the same outcome, and all of it through a pipe", async () => {
  const steps = Array.from({ length: 2_000 }, (_, index) =>
    madeStep({ op: "create", name: `m${String(index)}`, new: { env: { A: "x".repeat(200) } } }),
  );
  const { code, out } = await report(["report", "--json"], digestOf(steps));
  expect(code).toBe(2);
  expect(JSON.parse(out)).toMatchObject({ version: 1, outcome: "changes", backend: "local" });
  expect(out.length).toBeGreaterThan(500_000);
});

test("takes the backend of the stack's configuration, of the environment, or as told", async () => {
  const step = madeStep({ op: "update", old: { vcpu: 1 }, new: { vcpu: 2 } });
  const backendOf = async (args: string[], config: object, env?: NodeJS.ProcessEnv): Promise<unknown> => {
    const { out } = await report(["report", "--json", ...args], digestOf([step], { config }), env);
    return (JSON.parse(out) as { backend: unknown }).backend;
  };
  expect(await backendOf([], {})).toBe("local");
  expect(await backendOf([], { "machines:backend": "nullspace" })).toBe("nullspace");
  expect(await backendOf([], {}, { MACHINES_BACKEND: "dedalus" })).toBe("dedalus");
  expect(await backendOf(["--backend", "dedalus"], { "machines:backend": "nullspace" })).toBe("dedalus");
});

test.each<[what: string, args: string[], input: string, message: string]>([
  ["empty input", ["report"], "", "pulumi-machines: there is no preview: the text is empty; make it with:"],
  ["no JSON", ["report"], "error: no stack", "pulumi-machines: this is not JSON; make it with:"],
  [
    "no Pulumi",
    ["report", "--pulumi", "/nowhere/pulumi"],
    "",
    'pulumi-machines: "/nowhere/pulumi" was not found;',
  ],
  ["no folder", ["report", "--cwd", "/nowhere"], "", "or there is no folder /nowhere;"],
  ["no length", ["report", "--max-length", "7"], "", "It must be a whole number from 8000."],
  ["no backend", ["report", "--backend", "moon"], "", "Allowed choices are local, dedalus, nullspace."],
  ["no such option", ["report", "--nope"], "", "unknown option '--nope'"],
])("says what is wrong in a line, without a stack: %s", async (_what, args, input, message) => {
  const { code, out, err } = await report(args, input);
  expect({ code, out }).toEqual({ code: 1, out: "" });
  expect(err).toContain(message);
  expect(err).not.toMatch(/^\s+at /m);
  expect(err.trim().split("\n").length).toBeLessThanOrEqual(2);
});

describe("a run of Pulumi", () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "machines-report-"))));
  afterEach(() => rmSync(folder, { recursive: true }));

  /** A program in Pulumi's place, for what a real one does only when it is broken. */
  function pulumi(script: string): string {
    const file = join(folder, "pulumi");
    writeFileSync(file, `#!/bin/sh\n${script}\n`);
    chmodSync(file, 0o755);
    return file;
  }

  test("gets its arguments as they are, and no variable that changes the form of its answer", async () => {
    const file = pulumi('echo "$@ / $PULUMI_ENABLE_STREAMING_JSON_PREVIEW" >&2; echo "{\\"steps\\": []}"');
    const args = ["report", "--pulumi", file, "-C", folder, "-s", "org/dev", "--", "--target", "a b"];
    const { code, err, out } = await report(args, "", { PULUMI_ENABLE_STREAMING_JSON_PREVIEW: "true" });
    expect(code).toBe(0);
    expect(err).toBe("preview --json --show-sames --non-interactive --stack org/dev --target a b / \n");
    expect(out).toMatch(/^<!-- pulumi-machines report: unknown\/dev -->/);
  });

  test("that fails without a preview is a report with its words", async () => {
    writeFileSync(join(folder, "Pulumi.yaml"), "name: shop\nruntime: nodejs\n");
    const file = pulumi('echo "error: could not <b>decrypt</b>" >&2; exit 255');
    const { code, out } = await report(["report", "--pulumi", file, "--cwd", folder, "--stack", "dev"]);
    expect(code).toBe(1);
    expect(out).toBe(
      "<!-- pulumi-machines report: shop/dev -->\n\n### ❌ `shop` / `dev`: the preview failed with 1 error\n\n" +
        "❌ **Error**\n\n```text\ncould not <b>decrypt</b>\n```\n",
    );
  });

  test("that says nothing at all is an error, too", async () => {
    const { code, out } = await report(["report", "--pulumi", pulumi("exit 3")]);
    expect(code).toBe(1);
    expect(out).toContain("pulumi preview ended with 3 and said nothing");
  });
});
