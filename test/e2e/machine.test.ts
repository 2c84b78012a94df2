import { NullspaceClient } from "@pulumi-machines/sdk";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Stack } from "./support/stack";

jest.setTimeout(240_000);
const small = { vcpu: 0.25, memoryMiB: 256, storageGiB: 1 };

interface Resource {
  kind: string;
  args: Record<string, unknown>;
  opts?: Record<string, unknown>;
}

describe("machines from others, taken over, and replaced", () => {
  const stack = new Stack();
  const { plane } = stack;
  let nullspace: NullspaceClient;

  const write = (resources: Record<string, Resource>): void =>
    writeFileSync(join(stack.project, "resources.json"), JSON.stringify(resources));
  const up = async (resources: Record<string, Resource>, ...args: string[]): Promise<string> => {
    write(resources);
    return stack.must("up", "--yes", "--skip-preview", ...args);
  };
  const machine = (args: Record<string, unknown> = {}, opts: Record<string, unknown> = {}): Resource => ({
    kind: "Machine",
    args: { ...small, ...args },
    opts,
  });

  beforeAll(async () => {
    copyFileSync(join(__dirname, "support", "resources.cjs"), join(stack.project, "program.cjs"));
    await stack.init();
    const { dedalus, apiKey } = plane.endpoint();
    nullspace = new NullspaceClient({ baseUrl: dedalus.replace(/dedalus$/, "nullspace"), apiKey });
  });
  afterAll(async () => {
    await nullspace.close();
    await stack.dispose();
  });

  const nullspaceId = (id: string | undefined): string => (id ?? "").replace(/^dm-/, "mch_");

  test("a machine says whose it is, next to the user's own pairs", async () => {
    await up({ web: machine({ metadata: { team: "shop" }, env: { MODE: "test" }, cwd: "/srv" }) });
    const { metadata, cwd } = await nullspace.machines.get(nullspaceId(stack.machine("web")?.id));
    expect(cwd).toBe("/srv");
    expect(metadata).toMatchObject({
      team: "shop",
      "pulumi:project": "shop",
      "pulumi:stack": "dev",
      "pulumi:resource": "web",
    });
  });

  test("a copy has the size of its source, and another one where it is asked for", async () => {
    await up({
      web: machine({ metadata: { team: "shop" }, env: { MODE: "test" }, cwd: "/srv" }),
      copy: { kind: "Machine", args: { from: { machine: "${web.id}" } } },
      bigger: { kind: "Machine", args: { from: { machine: "${web.id}" }, memoryMiB: 512 } },
    });
    expect(stack.machine("copy")?.outputs).toMatchObject({ memoryMiB: 256, phase: "running" });
    expect(stack.machine("bigger")?.outputs).toMatchObject({ memoryMiB: 512, phase: "running" });
    const { metadata } = await nullspace.machines.get(nullspaceId(stack.machine("copy")?.id));
    expect(metadata).toMatchObject({ "pulumi:resource": "copy" });
    await stack.must("preview", "--expect-no-changes");
  });

  test("a preview names what a replacement loses, and a deploy does it", async () => {
    const before = stack.machine("web")?.id;
    write({ web: machine({ metadata: { team: "mail" } }) });
    // With the preview that a person sees.
    const text = await stack.must("up", "--yes");
    expect(text.slice(0, text.indexOf("Updating"))).toMatch(
      /machine "web" is replaced \(.*metadata.*\) and ITS DISK IS LOST/,
    );
    expect(stack.machine("web")?.id).not.toBe(before);
    expect(await plane.machines()).toHaveLength(1);
  });

  test('beforeReplace: "snapshot" starts the new machine from the old disk and leaves no snapshot', async () => {
    const kept = { beforeReplace: "snapshot", metadata: { team: "mail" } };
    await up({ web: machine(kept) });
    const before = stack.machine("web")?.id;
    const text = await up({ web: machine({ ...kept, triggers: ["again"] }) });
    expect(text).toMatch(/the new one starts from a snapshot of its disk/);
    const after = stack.machine("web")?.id;
    expect(after).not.toBe(before);
    const events = await nullspace.lifecycle.list({ machineId: nullspaceId(before) }).page();
    expect(events.events.map(({ operation }) => operation)).toContain("snapshot_created");
    const left: string[] = [];
    for await (const { id } of nullspace.snapshots.list()) left.push(id);
    expect(left).toEqual([]);
    expect(await plane.machines()).toHaveLength(1);
  });

  test("the same with deleteBeforeReplace: the old machine goes first, its disk does not", async () => {
    const kept = { beforeReplace: "snapshot", metadata: { team: "mail" } };
    await up({ web: machine({ ...kept, triggers: ["third"] }, { deleteBeforeReplace: true }) });
    const id = nullspaceId(stack.machine("web")?.id);
    const events = await nullspace.lifecycle.list({ operation: "create" }).page();
    expect(events.events.filter(({ machineId }) => machineId === id)).not.toEqual([]);
    expect(await plane.machines()).toHaveLength(1);
    await stack.must("preview", "--expect-no-changes");
  });

  test("a machine made by hand is taken over, and the argument can go again", async () => {
    const { machineId } = await plane.client.machines.create({ ...small, memoryMiB: 512 });
    write({ hand: { kind: "Machine", args: { adopt: "dm-doesnotexist" } } });
    const refused = await stack.pulumi("preview");
    expect(refused.code).not.toBe(0);
    expect(refused.text).toMatch(
      /property adopt value .* has a problem: names no machine of the backend "local"/,
    );
    await up({ hand: { kind: "Machine", args: { adopt: machineId } } });
    expect(stack.machine("hand")).toMatchObject({ id: machineId, outputs: { memoryMiB: 512 } });
    await up({ hand: { kind: "Machine", args: {} } });
    expect(stack.machine("hand")).toMatchObject({ id: machineId, outputs: { memoryMiB: 512 } });
  });

  test("a resize by hand is told for what it is, and a machine that may be in any state drifts by no sleep", async () => {
    await up({ hand: { kind: "Machine", args: { desiredState: "any" } } });
    const id = stack.machine("hand")?.id ?? "";
    await plane.client.machines.sleep(id);
    for await (const { status } of plane.client.machines.watch(id)) if (status.phase === "sleeping") break;
    await stack.must("preview", "--refresh", "--expect-no-changes");
    await plane.client.machines.update(id, { memoryMiB: 1024 });
    const text = await stack.must("refresh", "--yes");
    expect(text).toMatch(/was resized outside of Pulumi: it has 1024 MiB of memory and not 512/);
  });

  test("what another backend has is not taken for gone", async () => {
    await stack.must("config", "set", "machines:backend", "dedalus");
    await stack.must("config", "set", "machines:endpoint", plane.endpoint().dedalus);
    await stack.must("config", "set", "--secret", "machines:apiKey", plane.endpoint().apiKey);
    write({ hand: { kind: "Machine", args: { desiredState: "any", memoryMiB: 512 } } });
    const { code, text } = await stack.pulumi("up", "--yes", "--skip-preview", "--refresh");
    expect(code).not.toBe(0);
    expect(text).toMatch(/is on the backend "local", and this stack is set to "dedalus": nothing was done/);
    expect(stack.machine("hand")?.id).toBeDefined();
    await stack.must("config", "rm", "machines:backend");
    await stack.must("config", "set", "machines:endpoint", `${plane.endpoint().dedalus}s`);
    const elsewhere = await stack.pulumi("refresh", "--yes", "--skip-preview", "--run-program");
    expect(elsewhere.code).not.toBe(0);
    expect(elsewhere.text).toMatch(/no list of machines at this address.*machines:endpoint/);
    expect(stack.machine("hand")?.id).toBeDefined();
    for (const key of ["endpoint", "apiKey"]) await stack.must("config", "rm", `machines:${key}`);
  });

  test("destroy leaves nothing, by the settings of now where it runs the program", async () => {
    await stack.must("destroy", "--yes", "--run-program");
    expect(await plane.machines()).toEqual([]);
  });
});
