import { EnvironmentStack } from "./support/environment-stack";
import { eventually } from "./support/run";
import { killMarked, marked } from "./support/processes";

jest.setTimeout(240_000);
const small = { vcpu: 0.25, memoryMiB: 256, storageGiB: 1 };

describe("snapshots of a stack", () => {
  const stack = new EnvironmentStack("null");
  const { plane } = stack;
  let machineId: string;

  beforeAll(async () => {
    await stack.init();
    machineId = (await plane.client.machines.create(small)).machineId;
    await eventually("the machine", async () =>
      (await plane.client.machines.get(machineId)).status.phase === "running" ? true : undefined,
    );
  });
  afterAll(() => stack.dispose());

  /** A deploy that ends as soon as there is one snapshot more. */
  const killed = async (): Promise<void> => {
    const { length } = await stack.snapshotIds();
    const run = stack.begin("up", "--yes", "--skip-preview");
    await eventually("the snapshot", async () => (await stack.snapshotIds())[length]);
    killMarked(stack.mark, "", plane.pid);
    await run.ended;
    await eventually("the end of the run", () =>
      marked(stack.mark).every((pid) => pid === plane.pid) ? true : undefined,
    );
    stack.unlock();
    await plane.faults();
  };

  test("a deploy that is killed in the middle of one leaves one, and the next deploy finds it", async () => {
    await plane.faults({
      ...{ on: "request", method: "POST", path: `/v1/machines/${machineId}/snapshots` },
      loseAnswer: true,
      delayMs: 300,
    });
    stack.program({ snapshots: { golden: { args: { machineId } } } });
    await killed();
    const [left] = await stack.snapshotIds();
    expect(stack.named("golden")).toBeUndefined();
    await stack.must("up", "--yes", "--skip-preview");
    expect(stack.idOf("golden")).toBe(left);
    expect(await stack.snapshotIds()).toEqual([left]);
    await stack.must("preview", "--expect-no-changes");
  });

  test("what a killed deploy left goes when the stack is destroyed", async () => {
    const kept = await stack.snapshotIds();
    await plane.faults({
      ...{ on: "request", method: "POST", path: `/v1/machines/${machineId}/snapshots` },
      ...{ loseAnswer: true, delayMs: 300 },
    });
    stack.program({ snapshots: { golden: { args: { machineId } }, other: { args: { machineId } } } });
    await killed();
    expect(stack.named("other")).toBeUndefined();
    await stack.must("destroy", "--yes", "--skip-preview");
    expect(kept).toHaveLength(1);
    expect(await stack.snapshotIds()).toEqual([]);
    await stack.deploy({ snapshots: { golden: { args: { machineId } } } });
  });

  test("the same snapshot by its id, read only", async () => {
    const id = stack.idOf("golden");
    await stack.deploy({ snapshots: { golden: { args: { machineId } }, seen: { get: id } } });
    expect(stack.named("seen")).toMatchObject({ id, external: true, outputs: { machineId } });
    const missing = { golden: { args: { machineId } }, seen: { get: "snap_nowhere" } };
    stack.program({ snapshots: missing });
    expect((await stack.pulumi("preview")).text).toMatch(/snapshot snap_nowhere does not exist: a get reads/);
    await stack.deploy({ snapshots: { golden: { args: { machineId } } } });
    expect(await stack.snapshotIds()).toEqual([id]);
  });

  test("triggers take a new one, then the old one goes", async () => {
    const before = stack.idOf("golden");
    stack.program({ snapshots: { golden: { args: { machineId, triggers: ["second"] } } } });
    expect(await stack.must("preview")).toMatch(/golden.*replace/);
    await stack.must("up", "--yes", "--skip-preview");
    expect(stack.idOf("golden")).not.toBe(before);
    expect(await stack.snapshotIds()).toEqual([stack.idOf("golden")]);
  });

  test("a replacement that is forced from outside is a new one, too", async () => {
    const before = stack.idOf("golden");
    await stack.must("up", "--yes", "--skip-preview", "--replace", stack.named("golden")?.urn ?? "");
    expect(stack.idOf("golden")).not.toBe(before);
    expect(await stack.snapshotIds()).toEqual([stack.idOf("golden")]);
  });

  test("one that was deleted by hand is dropped by a refresh, and taken anew", async () => {
    const before = stack.idOf("golden");
    await stack.nullspace.snapshots.delete(before);
    await stack.must("up", "--yes", "--skip-preview", "--refresh");
    expect(stack.idOf("golden")).not.toBe(before);
    expect(await stack.snapshotIds()).toEqual([stack.idOf("golden")]);
  });

  test("what a backend cannot do is refused at preview", async () => {
    await stack.must("config", "set", "machines:backend", "nullspace");
    stack.program({ snapshots: { other: { args: { machineId, metadata: { team: "shop" } } } } });
    const { code, text } = await stack.pulumi("preview");
    expect(code).not.toBe(0);
    expect(text).toMatch(
      /property metadata value .* has a problem: the backend "nullspace" keeps no metadata/,
    );
    await stack.must("config", "rm", "machines:backend");
  });

  test("with retainOnDelete it stays at the service, and what the user said of it is there", async () => {
    const metadata = { team: "shop" };
    await stack.deploy({
      snapshots: { kept: { args: { machineId, metadata }, opts: { retainOnDelete: true } } },
    });
    const id = stack.idOf("kept");
    await stack.deploy({});
    expect(await stack.snapshotIds()).toEqual([id]);
    expect((await stack.nullspace.snapshots.get(id)).metadata).toMatchObject({
      ...metadata,
      "pulumi:resource": "kept",
    });
    await stack.nullspace.snapshots.delete(id);
    await stack.must("destroy", "--yes", "--skip-preview");
  });

  test("an environment that was killed at its snapshot and then changed leaves none of the first", async () => {
    const team = (trigger: string) => ({
      environments: { team: { machine: small, triggers: [trigger], replicas: 1 } },
    });
    await plane.faults({
      ...{ on: "request", method: "POST", path: "/v1/machines/dm-" },
      ...{ loseAnswer: true, delayMs: 300 },
    });
    stack.program(team("first"));
    await killed();
    const [left] = await stack.snapshotIds();
    await stack.deploy(team("second"));
    expect(stack.idOf("team-golden")).not.toBe(left);
    expect(await stack.snapshotIds()).toEqual([stack.idOf("team-golden")]);
    await stack.must("destroy", "--yes", "--skip-preview");
    expect(await stack.snapshotIds()).toEqual([]);
    expect(await stack.machineIds()).toEqual([machineId]);
  });
});
