import { eventually } from "./support/run";
import { Stack } from "./support/stack";

jest.setTimeout(240_000);
const small = { vcpu: 0.25, memoryMiB: 256, storageGiB: 1 };

describe("the life of a stack", () => {
  const stack = new Stack();
  const { plane } = stack;
  let firstId: string;

  beforeAll(() => stack.init());
  afterAll(() => stack.dispose());

  test("up makes the machines, each in its desired state", async () => {
    const text = await stack.up({
      web: { args: { ...small, autosleep: "never" } },
      spare: { args: { ...small, desiredState: "sleeping" }, pool: "reserve" },
      dozy: { args: { ...small, autosleep: "1s" } },
    });
    expect(text).toMatch(/Machine web (creating|created) \(.*s\) running/);
    const machines = await plane.machines();
    expect(machines).toHaveLength(3);
    expect(stack.machine("web")?.outputs).toMatchObject({
      phase: "running",
      autosleepSeconds: 0,
      memoryMiB: 256,
    });
    expect(stack.machine("spare")?.outputs).toMatchObject({ phase: "sleeping", desiredState: "sleeping" });
    const spare = stack.machine("spare");
    expect(spare?.urn).toContain("shop:index:Pool$pulumi-nodejs:dynamic/machines:Machine");
    expect(spare?.inputs?.__urn).toBe(spare?.urn);
    firstId = stack.machine("web")?.id ?? "";
  });

  test("no key is in the state", () => {
    const text = JSON.stringify(stack.resources());
    expect(text).not.toContain("local-");
    expect(text).toContain('require(\\"pulumi-machines/dynamic\\").machine');
  });

  test("a preview sees no changes, also after a machine fell asleep by itself", async () => {
    const id = stack.machine("dozy")?.id ?? "";
    await eventually("autosleep", async () =>
      (await plane.client.machines.get(id)).status.phase === "sleeping" ? true : undefined,
    );
    await stack.must("preview", "--refresh", "--expect-no-changes");
  });

  test("resize, autosleep, sleep and wake are changes in place", async () => {
    const text = await stack.up({
      web: {
        args: { ...small, memoryMiB: 512, storageGiB: 2, autosleep: "1h30m", desiredState: "sleeping" },
      },
      spare: { args: small, pool: "reserve" },
      known: { get: firstId },
    });
    expect(text).toContain("2 updated");
    expect(text).toContain("1 deleted");
    expect(stack.machine("known")).toMatchObject({ id: firstId, external: true });
    expect(stack.machine("web")).toMatchObject({
      id: firstId,
      outputs: { phase: "sleeping", memoryMiB: 512, storageGiB: 2, autosleepSeconds: 5400 },
    });
    expect(stack.machine("spare")?.outputs?.phase).toBe("running");
    expect(await plane.client.machines.get(firstId)).toMatchObject({ memoryMiB: 512, storageGiB: 2 });
  });

  test("a smaller disk is refused at preview, all failures at once", async () => {
    stack.write({
      web: { args: { ...small, vcpu: 0.3, desiredState: "sleeping" } },
      spare: { args: small, pool: "reserve" },
    });
    const { code, text } = await stack.pulumi("preview");
    expect(code).not.toBe(0);
    expect(text).toContain("must be in quarters");
    expect(text).toMatch(
      /property storageGiB value \{1\} has a problem: a disk never shrinks \(it has 2 GiB\)/,
    );
  });

  test("refresh takes out what was deleted behind its back, and the next up makes a new one", async () => {
    await plane.client.machines.delete(firstId);
    for await (const { status } of plane.client.machines.watch(firstId))
      if (status.phase === "destroyed") break;
    const text = await stack.up(
      { web: { args: { ...small, memoryMiB: 512 } }, spare: { args: small, pool: "reserve" } },
      "--refresh",
    );
    expect(text).toContain("1 created");
    expect(stack.machine("web")?.id).not.toBe(firstId);
    expect(await plane.machines()).toHaveLength(2);
  });

  test("destroy leaves nothing, and the next up makes new machines", async () => {
    const before = (await plane.machines()).map((machine) => machine.machineId);
    await stack.must("destroy", "--yes", "--skip-preview");
    expect(await plane.machines()).toEqual([]);
    expect(stack.resources().filter(({ type }) => type.includes("machines:"))).toEqual([]);
    await stack.up({ web: { args: small } });
    const after = await plane.machines();
    expect(after).toHaveLength(1);
    expect(before).not.toContain(after[0]?.machineId);
    await stack.must("destroy", "--yes", "--skip-preview");
  });
});
