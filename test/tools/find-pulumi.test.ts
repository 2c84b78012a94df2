import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { installFakeCli, installFakeGo, TestFolder } from "./folders";
import { call, repoRoot, type Outcome } from "./tool-call";

/** A port of this machine where nobody listens: refused at once, as a missing route is. */
const noRoute = "http://127.0.0.1:9/install.sh";

interface Found {
  binDir: string;
  version: string;
  origin: string;
}

const environment = (folder: TestFolder, ...path: string[]): Record<string, string> => ({
  PATH: path.join(":"),
  HOME: folder.at("home"),
  XDG_CACHE_HOME: folder.at("cache"),
});

const find = (env: Record<string, string>, probeUrl = noRoute): Promise<Outcome> =>
  call("pulumi/find.mjs", "findPulumi", { env, probeUrl });

const found = async (env: Record<string, string>): Promise<Found> => {
  const outcome = await find(env);
  if (outcome.error !== undefined) throw new Error(outcome.error);
  return outcome.value as Found;
};

const cacheOf = (folder: TestFolder): string => folder.at("cache", "pulumi-machines", "pulumi");
const buildsIn = async (folder: TestFolder): Promise<string[]> =>
  (await readFile(folder.at("builds.log"), "utf8")).trim().split("\n");
const entriesIn = async (folder: TestFolder): Promise<string[]> =>
  (await readdir(cacheOf(folder))).filter((name) => name !== "home");

async function listen(server: Server): Promise<string> {
  await once(server.listen(0, "127.0.0.1"), "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/install.sh`;
}

describe("on PATH", () => {
  test("takes a suitable CLI, and leaves the cache alone", async () => {
    await using folder = await TestFolder.make();
    const binDir = await installFakeCli(folder, "bin", "3.200.0");
    expect(await found(environment(folder, binDir))).toEqual({ binDir, version: "3.200.0", origin: "path" });
    expect(await readdir(folder.path)).toEqual(["bin"]);
  });

  test("passes over one that is too old or does not run, for a later one that will do", async () => {
    await using folder = await TestFolder.make();
    const old = await installFakeCli(folder, "old", "3.100.0");
    await folder.script("broken/pulumi", "exit 1");
    const good = await installFakeCli(folder, "good", "3.139.0");
    const env = environment(folder, old, folder.at("broken"), folder.at("missing"), good);
    expect(await found(env)).toEqual({ binDir: good, version: "3.139.0", origin: "path" });
  });

  test("follows a link into an installation, where the language host is", async () => {
    await using folder = await TestFolder.make();
    const binDir = await installFakeCli(folder, "real", "3.200.0");
    await folder.file("links/readme", "");
    await symlink(join(binDir, "pulumi"), folder.at("links", "pulumi"));
    expect(await found(environment(folder, folder.at("links")))).toMatchObject({ binDir, origin: "path" });
  });

  test("takes a language host from elsewhere on PATH", async () => {
    await using folder = await TestFolder.make();
    await folder.script("bin/pulumi", "echo v3.200.0");
    const hosts = await installFakeCli(folder, "hosts", "3.1.0");
    const env = environment(folder, folder.at("bin"), hosts);
    expect(await found(env)).toMatchObject({ binDir: folder.at("bin"), origin: "path" });
  });
});

describe("the build and the cache", () => {
  test("builds when nothing else is there, and finds it in the cache afterwards", async () => {
    await using folder = await TestFolder.make();
    await folder.script("bin/pulumi", "echo v3.200.0"); // without its language host: not suitable
    const env = environment(folder, folder.at("bin"), await installFakeGo(folder, "1.26.0"));
    const built = await found(env);
    expect(built).toMatchObject({ version: "3.250.0", origin: "build" });
    expect(built.binDir).toMatch(/\/3\.250\.0-[0-9a-f]{16}\/bin$/);
    expect(await readdir(join(built.binDir, ".."))).toEqual(["bin", "installed.json"]);
    expect((await readdir(built.binDir)).sort()).toEqual([
      "pulumi",
      "pulumi-language-nodejs",
      "pulumi-resource-pulumi-nodejs",
    ]);
    expect(await found(env)).toEqual({ ...built, origin: "cache" });
    expect(await buildsIn(folder)).toHaveLength(2);
  });

  const damages: [name: string, damage: (entry: string) => Promise<void>][] = [
    [
      "a binary that does not run",
      (entry) => writeFile(join(entry, "bin/pulumi"), "#!/bin/sh\nexit 1      \n"),
    ],
    ["a truncated binary", (entry) => truncate(join(entry, "bin/pulumi-language-nodejs"), 3)],
    ["a stamp that is half written", (entry) => truncate(join(entry, "installed.json"), 20)],
  ];
  test.each(damages)("makes an entry with %s again", async (_name, damage) => {
    await using folder = await TestFolder.make();
    const env = environment(folder, await installFakeGo(folder, "1.26.0"));
    const { binDir } = await found(env);
    await damage(join(binDir, ".."));
    expect(await found(env)).toEqual({ binDir, version: "3.250.0", origin: "build" });
    expect(await found(env)).toMatchObject({ origin: "cache" });
    expect(await entriesIn(folder)).toHaveLength(1);
  });

  test("lets two runs at once share one build", async () => {
    await using folder = await TestFolder.make();
    const env = environment(folder, await installFakeGo(folder, "1.26.0", "/bin/sleep 0.3"));
    const both = await Promise.all([found(env), found(env)]);
    expect(both.map(({ origin }) => origin).sort()).toEqual(["build", "cache"]);
    expect(await buildsIn(folder)).toHaveLength(2); // the CLI and its host, once each
    expect(await entriesIn(folder)).toHaveLength(1);
  });

  test("takes over the lock of a process that was killed", async () => {
    await using folder = await TestFolder.make();
    const env = environment(folder, await installFakeGo(folder, "1.26.0"));
    const lock = await folder.file("cache/pulumi-machines/pulumi/lock", "");
    const aMinuteAgo = new Date(Date.now() - 60_000);
    await utimes(lock, aMinuteAgo, aMinuteAgo);
    expect(await found(env)).toMatchObject({ origin: "build" });
    expect(await entriesIn(folder)).toHaveLength(1);
  });

  test("lets the second of two take the first one's entry, when they race without the lock", async () => {
    await using folder = await TestFolder.make();
    const env = environment(folder);
    const bin = await installFakeCli(folder, "bin", "3.250.0");
    const fillTwice = `
      import { cp } from "node:fs/promises";
      const { fillEntry } = await import(process.argv[1]);
      const fill = ({ root }) => cp(process.argv[3], root + "/bin", { recursive: true });
      const context = { env: JSON.parse(process.argv[2]) };
      console.log(JSON.stringify(await Promise.all([1, 2, 3].map(() => fillEntry("key", context, fill)))));
    `;
    const cache = join(repoRoot, "tools/pulumi/cache.mjs");
    const args = ["--input-type=module", "-e", fillTwice, "--", cache, JSON.stringify(env), bin];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    const entry = { binDir: join(cacheOf(folder), "key", "bin"), version: "3.250.0" };
    expect(JSON.parse(stdout)).toEqual([entry, entry, entry]);
    expect(await entriesIn(folder)).toEqual(["key"]);
  });

  test("ends a cancelled build with all of its processes, and leaves nothing behind", async () => {
    await using folder = await TestFolder.make();
    const go = await installFakeGo(folder, "1.26.0", `echo $$ > "${folder.at("pid")}"; /bin/sleep 600`);
    // The runner probes the real site: a proxy that is not there makes that fail everywhere.
    const env = { ...environment(folder, go), https_proxy: "http://127.0.0.1:9" };
    const child = spawn(process.execPath, [join(repoRoot, "tools/pulumi/run.mjs"), "version"], {
      env,
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      if (text.includes("Building the Pulumi CLI")) setTimeout(() => child.kill("SIGINT"), 300);
    });
    const [code, signal] = (await once(child, "close")) as [number | null, string | null];
    expect({ code, signal }).toEqual({ code: null, signal: "SIGINT" });
    expect(said).toContain("Cancelled; nothing was left behind.");
    expect(await entriesIn(folder)).toEqual([]);
    const pid = Number(await readFile(folder.at("pid"), "utf8"));
    expect(() => process.kill(pid, 0)).toThrow("ESRCH");
  });
});

describe("when none is possible", () => {
  test("says in one message what each way ran into and what to install", async () => {
    await using folder = await TestFolder.make();
    const old = await installFakeCli(folder, "old", "3.100.0");
    const outcome = await find(environment(folder, old));
    expect(outcome.code).toBe("no_pulumi");
    expect(outcome.error?.split("\n")).toEqual([
      "No Pulumi CLI was found, and none could be installed.",
      `  On PATH:   ${old}/pulumi is 3.100.0, and 3.139.0 or a newer 3.x is needed.`,
      expect.stringMatching(/^ {2}Download: {2}no route to 127\.0\.0\.1:9: .+\.$/),
      "  Go build:  there is no go.",
      "Do one of these and try again:",
      "  - install Pulumi 3.139.0 or a newer 3.x: https://www.pulumi.com/docs/install/",
      expect.stringMatching(/^ {2}- install Go 1\.25\.\d+ or newer/),
    ]);
    expect(await entriesIn(folder)).toEqual([]);
  });

  test("says that go is too old", async () => {
    await using folder = await TestFolder.make();
    const { error } = await find(environment(folder, await installFakeGo(folder, "1.24.3")));
    expect(error).toContain("Go build:  go is 1.24.3, and 1.25.11 or newer is needed.");
  });

  test("repeats what go said when the build fails", async () => {
    await using folder = await TestFolder.make();
    const go = await installFakeGo(
      folder,
      "1.26.0",
      'echo "dial tcp: no route to proxy.golang.org" >&2; exit 1',
    );
    const { error } = await find(environment(folder, go));
    expect(error).toContain(
      "Go build:  go build of the Pulumi CLI failed: dial tcp: no route to proxy.golang.org.",
    );
    expect(await entriesIn(folder)).toEqual([]);
  });

  test("gives the download up after 3 seconds when the site takes the connection and says nothing", async () => {
    await using folder = await TestFolder.make();
    const server = createServer(() => undefined);
    const startedAtMs = Date.now();
    const { error } = await find(environment(folder), await listen(server));
    server.closeAllConnections();
    server.close();
    expect(error).toMatch(/Download: {2}no route to 127\.0\.0\.1:\d+: .*timeout/);
    expect(Date.now() - startedAtMs).toBeLessThan(8_000);
  });

  test("takes a refusal of a proxy for no route", async () => {
    await using folder = await TestFolder.make();
    const server = createServer((_request, response) => response.writeHead(403).end());
    const { error } = await find(environment(folder), await listen(server));
    server.close();
    expect(error).toMatch(/Download: {2}no route to 127\.0\.0\.1:\d+: it answered 403\./);
  });

  test("says what the official installer failed with", async () => {
    await using folder = await TestFolder.make();
    const server = createServer((_request, response) => response.end());
    // The site answers, and then nothing can be fetched from it.
    const env = { ...environment(folder), https_proxy: "http://127.0.0.1:9" };
    const { error } = await find(env, await listen(server));
    server.close();
    expect(error).toMatch(/Download: {2}the installer failed: .*Failed to download/);
    expect(await entriesIn(folder)).toEqual([]);
  });
});
