/**
 * Reports on real previews. RECORD=1 also keeps the previews as the recordings that the quick tests in
 * test/provider/report read: RECORD=1 npm run jest -- test/e2e/report.test.ts, then the same of test/provider/report, for the
 * golden files, and prettier on the recordings.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { linkWithCommands, previewOf, reportIn, run, type Ran } from "./support/report-run";
import { repository, Stack, type Machines } from "./support/stack";

// eslint-disable-next-line @typescript-eslint/no-require-imports -- it has no types of its own
const { load } = require("js-yaml") as { load(text: string): unknown };

interface Workflow {
  jobs: Record<string, { steps: { id?: string; run?: string }[] }>;
}

jest.setTimeout(240_000);
const small = { vcpu: 0.25, memoryMiB: 256, storageGiB: 1 };
const recordings = join(repository, "test", "provider", "report", "recordings");

describe("a report on a real preview", () => {
  const stack = new Stack("null", linkWithCommands);
  const { plane } = stack;
  const inRunner = {
    STACK: "dev",
    RUNNER_TEMP: join(stack.folder, "tmp"),
    GITHUB_OUTPUT: join(stack.folder, "output"),
    GITHUB_STEP_SUMMARY: join(stack.folder, "summary"),
  };
  const programFile = join(stack.project, "program.cjs");
  const program = readFileSync(programFile, "utf8");

  beforeAll(() => stack.init());
  afterAll(() => stack.dispose());

  /** The report on a preview of these machines, and the recording. */
  async function reported(name: string, machines: Machines | undefined, ...args: string[]): Promise<Ran> {
    if (machines) stack.write(machines);
    const { out } = await previewOf(stack, ...args);
    if (process.env.RECORD) record(name, out);
    return reportIn(stack, [], out);
  }

  function record(name: string, text: string): void {
    const place = text.replaceAll(stack.folder, "/tmp/ci").replaceAll(repository, "/repository");
    const digest = JSON.parse(place, (key, value: unknown) =>
      // Where in the program, which differs from machine to machine and tells nothing of the change.
      ["sourcePosition", "stackTrace", "propertyDependencies"].includes(key) ? undefined : value,
    ) as unknown;
    mkdirSync(recordings, { recursive: true });
    writeFileSync(join(recordings, `${name}.json`), `${JSON.stringify(digest, undefined, 2)}\n`);
  }

  const base: Machines = {
    web: { args: { ...small, autosleep: "never" } },
    spare: { args: { ...small, desiredState: "sleeping" } },
    disk: { args: { ...small, storageGiB: 3 } },
    gone: { args: small },
    kept: { args: small, opts: { retainOnDelete: true } },
  };

  test("says that a stack without machines has no changes", async () => {
    const { code, out } = await reported("empty", {});
    expect(code).toBe(0);
    expect(out).toMatch(/^<!-- pulumi-machines report: shop\/dev -->\n\n### ✅ .*no changes\n$/);
  });

  test("shows machines that are made, with what they have together", async () => {
    const { code, out } = await reported("create", base);
    expect(code).toBe(2);
    expect(out).toContain("machines: 5 to create");
    expect(out).toContain("| 🟢 | `spare` | create, then sleep |");
    expect(out).toContain("| memory | 0 MiB | 1.25 GiB | +1.25 GiB |");
    await stack.must("up", "--yes", "--skip-preview");
  });

  test("says that nothing changes, and ends with 0", async () => {
    const { code, out } = await reported("same", base, "--show-sames");
    expect(code).toBe(0);
    expect(out).toContain("no changes");
    expect(out).toContain("| machines | 5 | 5 |");
  });

  test("tells resize, sleep, wake, replacement and deletion apart, and marks lost disks", async () => {
    const { code, out } = await reported(
      "changes",
      {
        web: { args: { ...small, memoryMiB: 512, autosleep: "1h", desiredState: "sleeping" } },
        spare: { args: small },
        disk: { args: { ...small, replaceOnStorageShrink: true } },
        fresh: { args: { vcpu: 2 } },
        known: { get: stack.machine("web")?.id ?? "" },
      },
      "--show-sames",
    );
    expect(code).toBe(3);
    expect(out).toContain("🔴 **2 disks are lost.**");
    expect(out).toContain("| 🔴 | `disk` | replace because of `storageGiB`: **its disk is lost** |");
    expect(out).toContain("| 🔴 | `gone` | delete: **its disk is lost** |");
    expect(out).toContain("| ⚪ | `kept` | leave the stack, and be kept |");
    expect(out).toContain("| 🔵 | `web` | resize in place, then change `autosleep` in place, then sleep |");
    expect(out).toContain("| 🔵 | `spare` | wake |");
    expect(out).toContain("| machines | 5 | 4 | −1 |");
  });

  test("says the same of a preview with every step of a replacement", async () => {
    const { code, out } = await reported(
      "changes-steps",
      undefined,
      "--show-replacement-steps",
      "--show-sames",
    );
    expect(code).toBe(3);
    expect(out).toContain("1 to create, 2 to change, 1 to replace, 2 to delete");
  });

  test("takes the preview of a destroy", async () => {
    const { code, out } = await reported("destroy", undefined, "destroy", "--preview-only");
    expect(code).toBe(3);
    expect(out).toContain("🔴 **4 disks are lost.**");
  });

  test("runs the preview itself, with all that its options say", async () => {
    const { code, out, err } = await reportIn(stack, [
      "--stack",
      "dev",
      "--json",
      "--",
      "--target",
      stack.urn("disk"),
    ]);
    expect(err).toBe("");
    expect(code).toBe(3);
    const report = JSON.parse(out) as { outcome: string; resources: { name: string }[] };
    expect(report.outcome).toBe("destructive");
    expect(report.resources.map(({ name }) => name)).toEqual(["disk"]);
  });

  test("--exit-zero leaves the decision to the job", async () => {
    expect((await reportIn(stack, ["--stack", "dev", "--exit-zero"])).code).toBe(0);
  });

  test("the script and the workflow of examples/ci make the same report", async () => {
    const examples = join(repository, "examples", "ci");
    const place = { cwd: stack.project, env: { ...stack.env, ...inRunner } };
    const shell = await run("sh", [join(examples, "preview.sh"), "dev"], place);
    expect(shell).toMatchObject({ code: 3, err: "" });
    const markdown = readFileSync(join(stack.project, "report.md"), "utf8");
    expect(shell.out).toBe(markdown);
    expect(JSON.parse(readFileSync(join(stack.project, "report.json"), "utf8"))).toMatchObject({
      outcome: "destructive",
    });
    const agreed = await run("sh", [join(examples, "preview.sh"), "dev"], {
      ...place,
      env: { ...place.env, MAY_BE_LOST: "1" },
    });
    expect(agreed).toEqual({ code: 0, out: "", err: "" });

    const { jobs } = load(readFileSync(join(examples, "machines.yml"), "utf8")) as Workflow;
    const script = jobs.preview?.steps.find(({ id }) => id === "report")?.run ?? "";
    const step = await run("bash", ["--noprofile", "--norc", "-e", "-c", script], place);
    expect(step).toEqual({ code: 0, out: "", err: "" });
    expect(readFileSync(inRunner.GITHUB_OUTPUT, "utf8")).toBe("code=3\n");
    expect(readFileSync(inRunner.GITHUB_STEP_SUMMARY, "utf8")).toBe(markdown);
  });

  test("shows what a check refuses", async () => {
    const { code, out } = await reported("check-failure", { web: { args: { ...small, vcpu: 0.3 } } });
    expect(code).toBe(1);
    expect(out).toContain("the preview failed with 1 error");
    expect(out).toContain("❌ **Error** at `web`");
    expect(out).toContain("must be in quarters");
  });

  test("shows why a program failed, without the insides of Node", async () => {
    writeFileSync(programFile, 'throw new Error("no <b>price</b> | for `large`");');
    const { code, out } = await reported("program-error", undefined);
    writeFileSync(programFile, program);
    expect(code).toBe(1);
    expect(out).toContain("Error: no <b>price</b> | for `large`");
    expect(out).not.toContain("node:internal");
  });

  test("a stack that does not exist is a report of a failed preview", async () => {
    const { code, out } = await reportIn(stack, ["--stack", "nowhere"]);
    expect(code).toBe(1);
    expect(out).toMatch(/^<!-- pulumi-machines report: shop\/nowhere -->/);
    expect(out).toContain("no stack named 'nowhere' found");
  });

  test("hides secrets, and says what is known after apply", async () => {
    writeFileSync(
      programFile,
      `const pulumi = require("@pulumi/pulumi");
       const { Machine } = require("pulumi-machines");
       const size = { vcpu: 0.25, memoryMiB: 256, storageGiB: 1 };
       const web = new Machine("web", { ...size, autosleep: pulumi.secret("1h") });
       new Machine("late", { ...size, autosleep: web.phase.apply(() => "2h") });
       exports.key = pulumi.secret("hunter2");`,
    );
    const { code, out } = await reported("secrets", undefined);
    writeFileSync(programFile, program);
    expect(code).toBe(3);
    expect(out).toContain("+ autosleep: [known after apply]");
    expect(out).toContain('- autosleep: "never"\n+ autosleep: [secret]');
  });

  test("hides a secret that a check refuses, which Pulumi itself does not", async () => {
    writeFileSync(
      programFile,
      `const pulumi = require("@pulumi/pulumi");
       const { Machine } = require("pulumi-machines");
       new Machine("web", { autosleep: pulumi.secret("hunter2") });`,
    );
    const { code, out } = await reported("secret-refused", undefined);
    writeFileSync(programFile, program);
    expect(code).toBe(1);
    expect(out).toContain("property autosleep value {[secret]} has a problem");
    expect(out).not.toContain("hunter2");
  });

  test("names of machines cannot become markup", async () => {
    const { code, out } = await reported("hostile", {
      "a|b</details><img src=x> @team": { args: small },
      "[x](https://example.com) `code` **b**\n# h": { args: small },
    });
    expect(code).toBe(3);
    expect(out).not.toContain("<img");
    expect(out).not.toContain("@team");
    expect(out).not.toContain("](https");
    expect(out).toContain("`code`".replaceAll("`", "&#96;"));
  });

  test("tells what was changed outside of the stack, and what is done about it", async () => {
    await stack.up(base);
    const [web, disk] = [stack.machine("web")?.id ?? "", stack.machine("disk")?.id ?? ""];
    await plane.client.machines.update(web, { memoryMiB: 1024 });
    await plane.client.machines.delete(disk);
    for await (const { status } of plane.client.machines.watch(disk)) if (status.phase === "destroyed") break;
    const { code, out } = await reported("drift", base, "--refresh", "--show-sames");
    expect(code).toBe(2);
    expect(out).toContain("**Changed outside of this stack**");
    expect(out).toContain("Machine `disk` is not there any more");
    expect(out).toContain("- memoryMiB: 256\n+ memoryMiB: 1024");
    expect(out).toContain("| 🔵 | `web` | resize in place |");
  });

  test("says that a machine is repaired after a failed deploy", async () => {
    await plane.faults({
      on: "start",
      times: 1,
      fail: { reason: "image_missing", lastError: "gone", retryable: false },
    });
    stack.write({ ...base, job: { args: small } });
    expect((await stack.pulumi("up", "--yes", "--skip-preview")).code).not.toBe(0);
    const { code, out } = await reported("repair", undefined);
    expect(code).toBe(2);
    expect(out).toContain("| 🔵 | `job` | repair |");
  });

  test("marks machines that restart, that are replaced, and that keep their disk through a snapshot", async () => {
    const { code, out } = await reported("restart", {
      ...base,
      job: { args: small },
      web: { args: { ...base.web?.args, network: { egress: { mode: "deny_all" } } } },
      spare: { args: { ...base.spare?.args, triggers: ["v2"], beforeReplace: "snapshot" } },
      gone: { args: { ...small, env: { RELEASE: "2" } } },
    });
    expect(code).toBe(3);
    expect(out).toContain("🔴 **1 disk is lost, 2 machines restart.**");
    expect(out).toContain("`web` | restart because of `network.egress`: **restarts: its processes end**");
    expect(out).toContain(
      "`spare` | replace because of `triggers`, then start from a snapshot of the old disk: **restarts:",
    );
    expect(out).toContain("`gone` | replace because of `env`: **its disk is lost**");
    // The provider's own warnings of the same stand in the rows.
    expect(out).not.toContain("DISK IS LOST");
  });

  test("shows snapshots, and that what is made from one that is taken anew may be replaced", async () => {
    const golden = (release: number, more = ""): string =>
      `const { Command, File, Machine, Snapshot } = require("pulumi-machines");
       const pulumi = require("@pulumi/pulumi");
       const base = new Machine("base", { vcpu: 0.25, memoryMiB: 256, storageGiB: 1 });
       const golden = new Snapshot("golden", { machineId: base.id, triggers: [${String(release)}] });
       new Machine("replica", { from: { snapshot: golden.id } });
       ${more}`;
    writeFileSync(programFile, golden(1));
    const made = await reported("snapshot-create", undefined);
    expect(made.out).toContain("| 🟢 | snapshot `golden` | take |");
    expect(made.out).toContain("| 🟢 | `replica` | create from a snapshot, known after apply |");
    await stack.must("up", "--yes", "--skip-preview");
    writeFileSync(
      programFile,
      golden(
        2,
        `new Command("setup", { machineId: base.id, create: "true", environment: { KEY: pulumi.secret("hunter2") } });
         new File("motd", { machineId: base.id, path: "/etc/motd", content: "hello\\nyou" });`,
      ),
    );
    const { code, out } = await reported("snapshot-again", undefined);
    writeFileSync(programFile, program);
    expect(code).toBe(3);
    expect(out).toContain("🔴 **1 snapshot is lost, 1 machine may be replaced or restart.**");
    expect(out).toContain("`golden` | take again because of `triggers`: **the old snapshot is lost**");
    expect(out).toContain("**is replaced if `from`, known after apply, differs: then its disk is lost**");
    expect(out).toMatch(
      /Other resources: (?:1 file to create, 1 command to create|1 command to create, 1 file to create)/,
    );
    expect(out).not.toContain("hunter2");
  });

  test("shows that no control plane runs", async () => {
    await plane.stop();
    const { code, out } = await reported("no-plane", undefined, "--refresh");
    expect(code).toBe(1);
    expect(out).toContain("Start one with: npx machines-local start --detach");
    await plane.start();
  });

  test("knows the backend from the stack's configuration", async () => {
    await stack.must("config", "set", "machines:backend", "dedalus");
    await stack.must("config", "set", "--secret", "machines:apiKey", "hunter2");
    const { out } = await previewOf(stack);
    if (process.env.RECORD) record("config", out);
    const { out: json } = await reportIn(stack, ["--json"], out);
    expect(json).toContain('"backend": "dedalus"');
    expect(out).not.toContain("hunter2");
  });
});
