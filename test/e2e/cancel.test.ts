/** Ctrl-C, once and twice, and kill -9 in the middle of a command: what a person does to a deploy that takes too long. */
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { killMarked } from "./support/processes";
import { eventually, type Running } from "./support/run";
import { Stack } from "./support/stack";

jest.setTimeout(240_000);
const small = { vcpu: 0.25, memoryMiB: 256, storageGiB: 1, autosleep: "never" };

/** As a terminal does: to the whole group in front. */
const ctrlC = ({ child }: Running): void => void process.kill(-(child.pid ?? NaN), "SIGINT");

const said = (up: Running, text: RegExp): Promise<true> =>
  eventually(String(text), () => (up.text().search(text) >= 0 ? true : undefined));

describe("a deploy that is cancelled", () => {
  const stack = new Stack("sandbox");
  const { plane } = stack;
  const write = (resources: object): void =>
    writeFileSync(join(stack.project, "resources.json"), JSON.stringify(resources));
  const web = { kind: "Machine", args: small };
  const step = (create: string, args: object = {}) => ({
    web,
    step: { kind: "Command", args: { machineId: "${web.id}", create, ...args } },
  });
  const slow = (log: string): string =>
    `echo begun >> ${log}; echo go; sleep 4; echo over >> ${log}; cat ${log}`;
  const stdout = (): unknown =>
    stack.resources().find(({ urn }) => urn.endsWith("::step"))?.outputs?.["stdout"];
  const logged = async (log: string): Promise<string> => {
    const { executions } = plane.client;
    return (await executions.run(stack.machine("web")?.id ?? "", { command: ["cat", log] })).stdout;
  };

  beforeAll(async () => {
    copyFileSync(join(__dirname, "support", "resources.cjs"), join(stack.project, "program.cjs"));
    await stack.init();
  });
  afterAll(() => stack.dispose());

  test("once, while a machine is made: it is waited for, and recorded", async () => {
    await plane.faults({ on: "start", times: 1, stallMs: 3_000 });
    write({ web });
    const up = stack.begin("up", "--yes", "--skip-preview");
    await said(up, /starting/);
    ctrlC(up);
    const { code, text } = await up.ended;
    expect(code).not.toBe(0);
    expect(text).toMatch(/update cancell?ed/);
    expect(stack.machine("web")?.outputs?.["phase"]).toBe("running");
    await stack.must("up", "--yes", "--skip-preview");
    expect(await plane.machines()).toHaveLength(1);
  });

  test("twice, while a machine is made: the next deploy finds it", async () => {
    await plane.faults({ on: "start", times: 1, stallMs: 3_000 });
    write({ web, other: web });
    const up = stack.begin("up", "--yes", "--skip-preview");
    await said(up, /other creating \(\d+s\) (accepted|starting)/);
    ctrlC(up);
    await said(up, /\^C received/);
    ctrlC(up);
    expect((await up.ended).code).not.toBe(0);
    expect(stack.machine("other")).toBeUndefined();
    stack.unlock();
    await plane.faults();
    await stack.must("up", "--yes", "--skip-preview");
    expect(await plane.machines()).toHaveLength(2);
    write({ web });
    await stack.must("up", "--yes", "--skip-preview");
  });

  test("once, while a command runs: it is waited for, and its output recorded", async () => {
    write(step(slow("/root/once")));
    const up = stack.begin("up", "--yes", "--skip-preview");
    await said(up, / go/);
    ctrlC(up);
    expect((await up.ended).code).not.toBe(0);
    expect(stdout()).toBe("go\nbegun\nover");
    await stack.must("preview", "--expect-no-changes");
  });

  test("twice, while a command runs: it comes to its end once", async () => {
    write(step(slow("/root/twice")));
    const up = stack.begin("up", "--yes", "--skip-preview");
    await said(up, / go/);
    ctrlC(up);
    await said(up, /\^C received/);
    ctrlC(up);
    expect((await up.ended).code).not.toBe(0);
    stack.unlock();
    await stack.must("up", "--yes", "--skip-preview");
    expect((await logged("/root/twice")).match(/over/g)).toHaveLength(1);
    expect(stdout()).toMatch(/^go\nbegun\n(begun\n)?over$/);
  });

  test.each([
    ["dedalus", "/root/dedalus"],
    ["local", "/root/local"],
  ])(
    "kill -9 of CLI and provider while a command runs on the backend %s: it runs once",
    async (backend, log) => {
      // The first of the two moves the machine to the other address of the same control plane.
      await stack.must("destroy", "--yes", "--skip-preview");
      const { dedalus, apiKey } = plane.endpoint();
      const settings = { MACHINES_BACKEND: backend, MACHINES_API_KEY: apiKey, MACHINES_ENDPOINT: dedalus };
      for (const [name, value] of Object.entries(settings)) {
        if (backend === "local") delete stack.env[name];
        else stack.env[name] = value;
      }
      write(step(slow(log)));
      const up = stack.begin("up", "--yes", "--skip-preview");
      await said(up, / go/);
      expect(killMarked(stack.mark, "", plane.pid)).toBeGreaterThan(2);
      await up.ended;
      stack.unlock();
      const text = await stack.must("up", "--yes", "--skip-preview");
      expect(text).toContain("found again: it was started before, and nobody has seen its end");
      expect(stdout()).toBe("go\nbegun\nover");
      expect(await logged(log)).toBe("begun\nover\n");
    },
  );
});
