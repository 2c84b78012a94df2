/** The workflow of examples/ci: valid, with least rights, and its scripts at work against a server in GitHub's place. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
// eslint-disable-next-line @typescript-eslint/no-require-imports -- it has no types of its own
const { load } = require("js-yaml") as { load(text: string): unknown };

interface WorkflowStep {
  name?: string;
  uses?: string;
  run?: string;
  env?: Record<string, string>;
  with?: Record<string, unknown>;
}
interface Job {
  if?: string;
  needs?: string | string[];
  permissions?: Record<string, string>;
  "timeout-minutes"?: number;
  steps: WorkflowStep[];
}
interface Workflow {
  on: Record<string, unknown>;
  permissions: Record<string, string>;
  jobs: Record<string, Job>;
}

const folder = join(__dirname, "..", "..", "..", "examples", "ci");
const text = readFileSync(join(folder, "machines.yml"), "utf8");
const { on, permissions, jobs } = load(text) as Workflow;
const steps = Object.values(jobs).flatMap((job) => job.steps);
const writes = (job: Job): boolean => Object.values(job.permissions ?? {}).includes("write");

describe("the workflow", () => {
  test("runs for pull requests, at night and by hand, and never with the rights of pull_request_target", () => {
    expect(Object.keys(on).sort()).toEqual(["pull_request", "schedule", "workflow_dispatch"]);
  });

  test("gives each job the rights that it needs, and no job more", () => {
    expect(permissions).toEqual({});
    const given = Object.fromEntries(Object.entries(jobs).map(([name, job]) => [name, job.permissions]));
    expect(given).toEqual({
      preview: { contents: "read" },
      comment: { "pull-requests": "write" },
      decide: {},
      drift: { contents: "read" },
      "drift-issue": { issues: "write" },
    });
  });

  test("keeps code of the repository away from jobs that may write, and secrets from jobs that need none", () => {
    for (const job of Object.values(jobs)) {
      const all = JSON.stringify(job);
      if (writes(job)) {
        expect(all).not.toContain("actions/checkout");
        expect(all).not.toMatch(/\bnpm\b|\bnpx\b/);
        expect(all).not.toContain("secrets.");
      }
      if (all.includes("secrets.") && job.if?.includes("== 'pull_request'")) {
        expect(job.if).toContain("head.repo.full_name == github.repository");
      }
      expect(job["timeout-minutes"]).toBeGreaterThan(0);
    }
    for (const { uses, with: inputs } of steps) {
      if (uses?.startsWith("actions/checkout"))
        expect(inputs).toMatchObject({ "persist-credentials": false });
    }
  });

  test("pins each action to a version", () => {
    const used = steps.flatMap(({ uses }) => (uses ? [uses] : []));
    expect(used.length).toBeGreaterThan(5);
    for (const uses of used) expect(uses).toMatch(/^(actions|pulumi)\/[a-z-]+@v\d+\.\d+\.\d+$/);
  });

  test("puts nothing of the event into a script: only variables, which are no code", () => {
    for (const { run } of steps) expect(run ?? "").not.toContain("${{");
  });

  test("depends on jobs that there are", () => {
    for (const { needs = [] } of Object.values(jobs)) {
      for (const name of [needs].flat()) expect(Object.keys(jobs)).toContain(name);
    }
  });

  test.each([
    ...steps.flatMap(({ run }) => (run ? [run] : [])),
    readFileSync(join(folder, "preview.sh"), "utf8"),
  ])("has scripts that a shell can read (%#)", (script) => {
    expect(spawnSync("bash", ["-n"], { input: script, encoding: "utf8" })).toMatchObject({
      status: 0,
      stderr: "",
    });
  });
});

// ---------------------------------------------------------------- its scripts

interface Item {
  id: number;
  number: number;
  user: { login: string };
  body: string;
  state: string;
  title?: string;
}
const bot = "github-actions[bot]";
const marker = "<!-- pulumi-machines report: shop/dev -->";

describe("the workflow's scripts", () => {
  let items: Item[];
  let server: Server;
  let work: string;
  const requests: string[] = [];

  beforeEach(async () => {
    items = [];
    requests.length = 0;
    work = mkdtempSync(join(tmpdir(), "machines-ci-"));
    server = createServer((request, response) => {
      let body = "";
      request.on("data", (chunk) => (body += String(chunk)));
      request.on("end", () => {
        const url = new URL(request.url ?? "", "http://localhost");
        requests.push(`${String(request.method)} ${url.pathname}`);
        response.setHeader("content-type", "application/json");
        if (request.headers.authorization !== "Bearer token") response.statusCode = 401;
        response.end(JSON.stringify(answer(String(request.method), url, body)));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });
  afterEach(async () => {
    await new Promise((resolve) => server.close(resolve));
    rmSync(work, { recursive: true });
  });

  /** What GitHub does with comments of issue 7, and with issues. */
  function answer(method: string, url: URL, text: string): unknown {
    const data = (text === "" ? {} : JSON.parse(text)) as Partial<Item>;
    if (method === "GET") {
      const page = Number(url.searchParams.get("page") ?? 1);
      const open = items.filter(({ state }) => state === "open" || !url.searchParams.has("state"));
      return open.slice((page - 1) * 100, page * 100);
    }
    if (method === "POST") return items[items.push(item({ user: { login: bot }, ...data })) - 1];
    const found = items.find(({ id }) => url.pathname.endsWith(`/${String(id)}`));
    return Object.assign(found ?? {}, data);
  }

  const item = (more: Partial<Item>): Item => {
    const id = items.length + 1;
    return { id, number: id, user: { login: "someone" }, body: "", state: "open", ...more };
  };

  async function run(job: string, env: NodeJS.ProcessEnv): Promise<{ code: number | null; text: string }> {
    const script = jobs[job]?.steps.at(-1)?.run ?? "";
    const { port } = server.address() as AddressInfo;
    const child = spawn("bash", ["--noprofile", "--norc", "-e", "-c", script], {
      stdio: ["ignore", "pipe", "pipe"],
      cwd: work,
      env: {
        PATH: process.env.PATH,
        GITHUB_API_URL: `http://127.0.0.1:${String(port)}`,
        GITHUB_REPOSITORY: "acme/shop",
        GITHUB_TOKEN: "token",
        ...env,
      },
    });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (text += String(chunk)));
    return new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code) => resolve({ code, text }));
    });
  }
  const report = (words: string, first = marker): void =>
    writeFileSync(join(work, "report.md"), `${first}\n\n${words}\n`);
  const ok = { code: 0, text: "" };

  test("make one comment and keep it up to date, whatever others write", async () => {
    items = [item({ body: `${marker} mine!` }), item({ user: { login: bot }, body: "other words" })];
    report("first");
    expect(await run("comment", { NUMBER: "7" })).toEqual(ok);
    report("second");
    expect(await run("comment", { NUMBER: "7" })).toEqual(ok);
    expect(items.map(({ body }) => body)).toEqual([
      `${marker} mine!`,
      "other words",
      `${marker}\n\nsecond\n`,
    ]);
    expect(requests.at(-1)).toBe("PATCH /repos/acme/shop/issues/comments/3");
  });

  test("find their comment behind hundreds of others", async () => {
    items = [];
    for (let count = 0; count < 250; count += 1) items.push(item({}));
    items.push(item({ user: { login: bot }, body: marker }));
    report("again");
    expect(await run("comment", { NUMBER: "7" })).toEqual(ok);
    expect(items).toHaveLength(251);
    expect(items[250]?.body).toContain("again");
  });

  test("refuse what is no report, and say what GitHub refuses, without the token", async () => {
    report("x", "hello");
    expect((await run("comment", { NUMBER: "7" })).text).toContain("report.md is no report");
    report("x");
    const { code, text } = await run("comment", { NUMBER: "7", GITHUB_TOKEN: "another" });
    expect(code).not.toBe(0);
    expect(text).toContain("401");
    expect(text).not.toContain("another");
  });

  test("open one issue about drift, and close it when there is none any more", async () => {
    const env = { STACK: "dev" };
    report("drift");
    expect(await run("drift-issue", { ...env, CODE: "2" })).toEqual(ok);
    report("more drift");
    expect(await run("drift-issue", { ...env, CODE: "3" })).toEqual(ok);
    expect(items).toMatchObject([
      { state: "open", title: "The machines of dev are not what the program says" },
    ]);
    expect(items[0]?.body).toContain("more drift");
    report("none");
    expect(await run("drift-issue", { ...env, CODE: "0" })).toEqual(ok);
    expect(items).toMatchObject([{ state: "closed" }]);
    expect(await run("drift-issue", { ...env, CODE: "0" })).toEqual(ok);
    expect(items).toHaveLength(1);
  });

  test.each([
    ["0", "false", 0],
    ["2", "false", 0],
    ["3", "false", 1],
    ["3", "true", 0],
    ["1", "true", 1],
    ["", "true", 1],
  ])("decide: code %s, label %s", async (CODE, AGREED, code) => {
    expect((await run("decide", { CODE, AGREED })).code).toBe(code);
  });
});
