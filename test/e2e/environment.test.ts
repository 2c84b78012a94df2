import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { EnvironmentStack } from "./support/environment-stack";

jest.setTimeout(300_000);
const small = { vcpu: 0.25, memoryMiB: 256, storageGiB: 1 };

describe("an environment: a base machine, its set-up, a golden snapshot, and replicas", () => {
  const stack = new EnvironmentStack("sandbox");
  const team = (setup: unknown[], replicas: number, more: Record<string, unknown> = {}) => ({
    environments: {
      team: { machine: small, files: { "/root/task.txt": "asset:task.txt" }, setup, replicas, ...more },
    },
  });
  const first = ["cat /root/task.txt > /root/made", { create: ["sh", "-c", "echo second >> /root/made"] }];
  const replicas = (count: number): string[] =>
    Array.from({ length: count }, (_, index) => stack.idOf(`team-${String(index)}`));
  let ids: string[];

  beforeAll(async () => {
    writeFileSync(join(stack.project, "task.txt"), "of the project\n");
    await stack.init();
  });
  afterAll(() => stack.dispose());

  test("each replica starts from what the files and the commands have made", async () => {
    await stack.deploy(team(first, 2));
    ids = replicas(2);
    for (const id of ids) expect(await stack.says(id, "cat /root/made")).toBe("of the project\nsecond\n");
    expect(await stack.snapshotIds()).toEqual([stack.idOf("team-golden")]);
    const base = stack.named("team-base");
    expect(base?.outputs).toMatchObject({ desiredState: "any", autosleepSeconds: 300 });
    expect(stack.named("team-golden")?.outputs).toMatchObject({ machineId: base?.id });
    await stack.must("preview", "--expect-no-changes");
  });

  test("another number of replicas touches only the difference", async () => {
    const golden = stack.idOf("team-golden");
    await stack.deploy(team(first, 3));
    expect(replicas(3).slice(0, 2)).toEqual(ids);
    await stack.deploy(team(first, 1));
    expect(replicas(1)).toEqual(ids.slice(0, 1));
    expect(stack.named("team-1")).toBeUndefined();
    expect(stack.idOf("team-golden")).toBe(golden);
    expect((await stack.machineIds()).sort()).toEqual([...replicas(1), stack.idOf("team-base")].sort());
  });

  test("a base that fell asleep is no drift, and nothing wakes it", async () => {
    const base = stack.idOf("team-base");
    await stack.plane.client.machines.sleep(base);
    for await (const { status } of stack.plane.client.machines.watch(base))
      if (status.phase === "sleeping") break;
    await stack.must("preview", "--refresh", "--expect-no-changes");
    const { status } = await stack.plane.client.machines.get(base);
    expect(status.phase).toBe("sleeping");
  });

  test("another line of the set-up makes everything anew, and the preview says so", async () => {
    const before = [stack.idOf("team-base"), stack.idOf("team-golden"), ...replicas(1)];
    const changed = ["cat /root/task.txt > /root/made", "echo other >> /root/made"];
    stack.program(team(changed, 2));
    const preview = await stack.must("preview", "--diff");
    for (const name of ["team-base", "team-setup-0", "team-golden", "team-0"])
      expect(preview).toMatch(new RegExp(`\\+-[^\\n]*replace[^]*${name}`));
    await stack.must("up", "--yes", "--skip-preview");
    // The old base slept; nothing that was put into it has to be taken out again.
    expect(await stack.operationsOf(before[0] ?? "")).toEqual(["create", "hibernate", "destroy"]);
    ids = replicas(2);
    for (const id of ids) {
      expect(before).not.toContain(id);
      expect(await stack.says(id, "cat /root/made")).toBe("of the project\nother\n");
    }
    expect(await stack.snapshotIds()).toEqual([stack.idOf("team-golden")]);
    expect((await stack.machineIds()).sort()).toEqual([...ids, stack.idOf("team-base")].sort());
    await stack.must("preview", "--expect-no-changes");
  });

  test("so does another content of a file", async () => {
    writeFileSync(join(stack.project, "task.txt"), "of tomorrow\n");
    const setup = ["cat /root/task.txt > /root/made", "echo other >> /root/made"];
    await stack.deploy(team(setup, 2));
    expect(replicas(2)).not.toEqual(ids);
    ids = replicas(2);
    for (const id of ids) expect(await stack.says(id, "cat /root/made")).toBe("of tomorrow\nother\n");
  });

  test("a set-up that fails leaves the replicas running, and says which command and what it said", async () => {
    const golden = stack.idOf("team-golden");
    const broken = [
      "cat /root/task.txt > /root/made",
      "echo the disk of tomorrow; echo no such tool >&2; exit 7",
    ];
    stack.program(team(broken, 2));
    const { code, text } = await stack.pulumi("up", "--yes", "--skip-preview");
    expect(code).not.toBe(0);
    expect(text).toMatch(/team-setup-1/);
    expect(text).toMatch(/no such tool/);
    expect(text).toMatch(/7/);
    for (const id of ids) expect(await stack.says(id, "cat /root/made")).toBe("of tomorrow\nother\n");
    expect(await stack.snapshotIds()).toEqual([golden]);
    const running = (await stack.plane.machines()).filter(({ status }) => status.phase === "running");
    expect(running.map(({ machineId }) => machineId)).toEqual(expect.arrayContaining(ids));
  });

  test("repaired, all is new on a clean disk, and nothing of the failure is left", async () => {
    const setup = ["cat /root/task.txt > /root/made", "echo repaired >> /root/made"];
    await stack.deploy(team(setup, 2));
    expect(replicas(2)).not.toEqual(ids);
    ids = replicas(2);
    for (const id of ids) expect(await stack.says(id, "cat /root/made")).toBe("of tomorrow\nrepaired\n");
    expect(await stack.snapshotIds()).toEqual([stack.idOf("team-golden")]);
    expect((await stack.machineIds()).sort()).toEqual([...ids, stack.idOf("team-base")].sort());
    await stack.must("preview", "--expect-no-changes");
  });

  test("destroy leaves no machine and no snapshot", async () => {
    await stack.must("destroy", "--yes", "--skip-preview");
    expect(await stack.machineIds()).toEqual([]);
    expect(await stack.snapshotIds()).toEqual([]);
  });
});

describe("the same environment over the other dialect", () => {
  const stack = new EnvironmentStack("sandbox");
  const team = (line: string, replicas: number) => ({
    environments: {
      team: {
        machine: { vcpu: 1, memoryMiB: 256, storageGiB: 1, env: { GREETING: "hello" } },
        files: { "/root/name.txt": "nullspace" },
        setup: [line],
        replicas,
      },
    },
  });

  beforeAll(async () => {
    await stack.init();
    const { dedalus, apiKey } = stack.plane.endpoint();
    await stack.must("config", "set", "machines:backend", "nullspace");
    await stack.must("config", "set", "machines:endpoint", dedalus.replace(/dedalus$/, "nullspace"));
    await stack.must("config", "set", "--secret", "machines:apiKey", apiKey);
  });
  afterAll(() => stack.dispose());

  test("is made, scaled, built anew and destroyed", async () => {
    const line = 'echo "$GREETING $(cat /root/name.txt)" > /root/made';
    await stack.deploy(team(line, 1));
    const first = stack.idOf("team-0");
    expect(await stack.says(first.replace(/^mch_/, "dm-"), "cat /root/made")).toBe("hello nullspace\n");
    await stack.deploy(team(line, 2));
    expect(stack.idOf("team-0")).toBe(first);
    await stack.must("preview", "--expect-no-changes");
    await stack.deploy(team("echo other > /root/made", 2));
    for (const name of ["team-0", "team-1"])
      expect(await stack.says(stack.idOf(name).replace(/^mch_/, "dm-"), "cat /root/made")).toBe("other\n");
    expect(await stack.snapshotIds()).toEqual([stack.idOf("team-golden")]);
    await stack.must("destroy", "--yes", "--skip-preview");
    expect(await stack.machineIds()).toEqual([]);
    expect(await stack.snapshotIds()).toEqual([]);
  });
});
