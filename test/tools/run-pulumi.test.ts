import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { installFakeCli, TestFolder } from "./folders";
import { repoRoot } from "./tool-call";

const runner = join(repoRoot, "tools/pulumi/run.mjs");

interface Run {
  args: string[];
  env?: Record<string, string>;
  cwd?: string;
  /** Sends the signal once the CLI has said "ready"; in a session of its own, so that there is no terminal. */
  killWith?: NodeJS.Signals;
}

/** Runs the runner with a fake CLI whose `up` is `body`. */
async function run(folder: TestFolder, body: string, { args, env, cwd, killWith }: Run) {
  await installFakeCli(folder, "bin", "3.250.0");
  await folder.script("bin/pulumi", `if [ "$1" = version ]; then echo v3.250.0; exit 0; fi\n${body}`);
  const child = spawn(process.execPath, [runner, ...args], {
    cwd: cwd ?? folder.path,
    env: { PATH: folder.at("bin"), HOME: folder.at("home"), ...env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    if (killWith && text.includes("ready")) child.kill(killWith);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const [code, signal] = (await once(child, "close")) as [number | null, string | null];
  return { code, signal, stdout, stderr };
}

test("passes the arguments and the exit code through, and says nothing itself", async () => {
  await using folder = await TestFolder.make();
  const body = 'for each in "$@"; do echo "[$each]"; done; exit 7';
  const args = ["up", "--where", "a b", "--message=$x"];
  expect(await run(folder, body, { args })).toEqual({
    code: 7,
    signal: null,
    stdout: "[up]\n[--where]\n[a b]\n[--message=$x]\n",
    stderr: "",
  });
});

test("gives the CLI the project's settings", async () => {
  await using folder = await TestFolder.make();
  const body = 'echo "$PULUMI_BACKEND_URL $PULUMI_CONFIG_PASSPHRASE $PULUMI_SKIP_UPDATE_CHECK $PATH"';
  const path = `${join(repoRoot, "node_modules/.bin")}:${folder.at("bin")}:${folder.at("bin")}`;
  expect((await run(folder, body, { args: ["up"] })).stdout).toBe(
    `file://${repoRoot}/.state/pulumi pulumi-machines-local 1 ${path}\n`,
  );
});

test("leaves a user's login alone and says in one line which backend is used", async () => {
  await using folder = await TestFolder.make();
  const from = await folder.file("home/.pulumi/credentials.json", '{"current": "https://api.pulumi.com"}');
  const body = 'echo "[$PULUMI_BACKEND_URL$PULUMI_HOME$PULUMI_CONFIG_PASSPHRASE]"';
  expect(await run(folder, body, { args: ["up"] })).toMatchObject({
    stdout: "[]\n",
    stderr: `Using your Pulumi backend (https://api.pulumi.com, from ${from}).\n`,
  });
});

test("works where the user typed the command, although npm went to the repository", async () => {
  await using folder = await TestFolder.make();
  await mkdir(folder.at("project"));
  const env = { npm_lifecycle_event: "pulumi", INIT_CWD: folder.at("project") };
  expect((await run(folder, 'echo "$PWD"', { args: ["up"], env })).stdout).toBe(`${folder.at("project")}\n`);
  const other = { ...env, npm_lifecycle_event: "jest" };
  expect((await run(folder, 'echo "$PWD"', { args: ["up"], env: other })).stdout).toBe(`${folder.path}\n`);
});

test.each(["SIGINT", "SIGTERM"] as const)("lets the CLI end in its own way on a %s", async (killWith) => {
  await using folder = await TestFolder.make();
  const body =
    "trap 'echo INT; exit 41' INT; trap 'echo TERM; exit 42' TERM; echo ready; while :; do /bin/sleep 0.05; done";
  const { code, stdout } = await run(folder, body, { args: ["up"], killWith });
  expect([code, stdout]).toEqual(killWith === "SIGINT" ? [41, "ready\nINT\n"] : [42, "ready\nTERM\n"]);
});

test("ends by the signal that ended the CLI", async () => {
  await using folder = await TestFolder.make();
  expect(await run(folder, "kill -KILL $$", { args: ["up"] })).toMatchObject({
    code: null,
    signal: "SIGKILL",
  });
});

test("says with --where what it would do, as JSON", async () => {
  await using folder = await TestFolder.make();
  const { code, stdout } = await run(folder, "exit 1", { args: ["--where"] });
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({
    binDir: folder.at("bin"),
    version: "3.250.0",
    origin: "path",
    backend: { own: true, url: `file://${repoRoot}/.state/pulumi` },
    environment: {
      PATH: `${join(repoRoot, "node_modules/.bin")}:${folder.at("bin")}:${folder.at("bin")}`,
      PULUMI_SKIP_UPDATE_CHECK: "1",
      PULUMI_BACKEND_URL: `file://${repoRoot}/.state/pulumi`,
      PULUMI_HOME: join(repoRoot, ".state/pulumi-home"),
      PULUMI_CONFIG_PASSPHRASE: "pulumi-machines-local",
    },
  });
});

test("says with --where that the backend is the user's", async () => {
  await using folder = await TestFolder.make();
  await folder.file("project/Pulumi.yaml", "backend:\n  url: s3://bucket\n");
  const { stdout } = await run(folder, "exit 1", { args: ["--where", "-C", "project"] });
  const where = JSON.parse(stdout) as { backend: unknown; environment: Record<string, string> };
  expect(where.backend).toEqual({ own: false, url: "s3://bucket", from: folder.at("project/Pulumi.yaml") });
  expect(Object.keys(where.environment)).toEqual(["PATH", "PULUMI_SKIP_UPDATE_CHECK"]);
});

test("gives with --env a shell the environment in which the CLI runs", async () => {
  await using folder = await TestFolder.make();
  const { code, stdout } = await run(folder, 'echo "[$1][$PULUMI_HOME]"', { args: ["--env"] });
  expect(code).toBe(0);
  const shell = spawn("/bin/sh", ["-c", `${stdout}pulumi up; echo "$PULUMI_CONFIG_PASSPHRASE"`], { env: {} });
  let said = "";
  shell.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
  await once(shell, "close");
  expect(said).toBe(`[up][${join(repoRoot, ".state/pulumi-home")}]\npulumi-machines-local\n`);
});
