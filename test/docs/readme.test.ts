/** The README is true: its programs compile and run, its links lead somewhere, its commands exist. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { execFile } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { startLocal } from "@pulumi-machines/local";
import { compile } from "./compile";
import { faultScript } from "../../local/src/faults";

const root = join(__dirname, "..", "..");
const readme = readFileSync(join(root, "README.md"), "utf8");
const blocks = (language: string): string[] =>
  [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, "gm"))].map(
    (match) => match[1] ?? "",
  );

const program = (containing: string): string => {
  const found = blocks("ts").find((text) => text.includes(containing));
  if (found === undefined) throw new Error(`the README has no program with ${containing}`);
  return found;
};

test("every program compiles against the packages", () => {
  const programs = blocks("ts");
  expect(programs.length).toBeGreaterThan(1);
  for (const text of programs) expect(compile(text).messages).toEqual([]);
});

test("the program of the SDK runs against the embedded control plane", async () => {
  const stateDir = mkdtempSync(join(tmpdir(), "machines-readme-"));
  const local = await startLocal({ stateDir, port: 0, driver: "auto" });
  const file = join(root, "test", "docs", `.readme-${String(process.pid)}.mjs`);
  try {
    writeFileSync(
      file,
      `${compile(program("DedalusClient")).javascript}\nconsole.log(stdout);\nawait client.close();\n`,
    );
    const { stdout } = await promisify(execFile)(process.execPath, [file], {
      env: { ...process.env, DEDALUS_API_KEY: local.apiKey, DEDALUS_BASE_URL: local.dedalus },
    });
    expect(stdout).toContain("running");
    expect(stdout).toContain("Linux");
    const { items } = await local.controlPlane.machines.list({ limit: 10 });
    for (const { id } of items) {
      await local.controlPlane.machines.desire(
        id,
        "destroyed",
        { scope: "test", key: id, requestHash: "" },
        undefined,
        () => ({ status: 200, headers: {}, body: "" }),
      );
      await new Promise<void>((resolve) => {
        void local.controlPlane.machines.follow(id, undefined, ({ phase }) => {
          if (phase === "destroyed") resolve();
        });
      });
    }
  } finally {
    await local.close();
    rmSync(file, { force: true });
    rmSync(stateDir, { recursive: true, force: true });
  }
});

test("every link to a file leads somewhere", () => {
  const targets = [...readme.matchAll(/\]\((?!https?:)([^)#]+)/g)].map((match) => match[1] ?? "");
  expect(targets.length).toBeGreaterThan(5);
  for (const target of targets) expect([target, existsSync(join(root, target))]).toEqual([target, true]);
});

test("every command that it names exists", () => {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    scripts: Record<string, string>;
  };
  const named = [...readme.matchAll(/npm run ([a-z-]+)/g)].map((match) => match[1] ?? "");
  for (const name of named) expect(scripts).toHaveProperty(name);
  expect(scripts).toHaveProperty("test");
});

test("the fault script of its guide is one", () => {
  const guide = readFileSync(join(root, "docs", "faults.md"), "utf8");
  const script = /```json\n([\s\S]*?)```/.exec(guide)?.[1] ?? "";
  expect(faultScript.parse(JSON.parse(script)).rules).toHaveLength(1);
});
