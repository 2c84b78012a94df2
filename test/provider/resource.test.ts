import * as pulumi from "@pulumi/pulumi";
import { Machine } from "pulumi-machines";
import { machineLoader } from "../../provider/src/loader";

interface Registered {
  type: string;
  name: string;
  id: string | undefined;
  inputs: Record<string, unknown>;
}

let registered: Registered[];

/** Runs a program as Pulumi does, with a stack of its own, and answers what it registered. */
async function program(run: () => Machine[]): Promise<Registered[]> {
  registered = [];
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, id, inputs: given }) => {
        const inputs = given as Record<string, unknown>;
        registered.push({ type, name, id, inputs });
        const state = type.endsWith("StackIdentity")
          ? { identity: `identity-${String(registered.length)}` }
          : inputs;
        return { id: id || `${name}-id`, state };
      },
      call: () => ({}),
    },
    "shop",
    "dev",
    true,
  );
  let machines: Machine[] = [];
  await pulumi.runtime.runInPulumiStack(async () => void (machines = run()));
  await Promise.all(machines.map((machine) => new Promise((known) => machine.urn.apply(known))));
  return registered.filter(({ type }) => type !== "pulumi:pulumi:Stack");
}

const named = (all: Registered[], name: string): Record<string, unknown> =>
  all.find((one) => one.name === name)?.inputs ?? {};

describe("a program with machines", () => {
  test("registers the stack's identity once, before its machines, and hands it to each", async () => {
    const all = await program(() => [new Machine("a"), new Machine("b", { vcpu: 2 })]);
    expect(all.map(({ name }) => name)).toEqual(["pulumi-machines", "a", "b"]);
    const { __stackIdentity: identity, __urn: urn, __provider: provider } = named(all, "a");
    expect(identity).toMatch(/^identity-/);
    expect(urn).toBe("urn:pulumi:dev::shop::pulumi-nodejs:dynamic/machines:Machine::a");
    expect(provider).toBe(machineLoader);
    expect(named(all, "b")).toMatchObject({ __stackIdentity: identity, vcpu: 2 });
  });

  test("that runs again in the same process has its identity again", async () => {
    for (let run = 0; run < 2; run += 1) {
      const all = await program(() => [new Machine("a")]);
      expect(all.map(({ name }) => name)).toEqual(["pulumi-machines", "a"]);
    }
  });

  test("a child machine has its parent in its URN", async () => {
    const all = await program(() => {
      const parent = new pulumi.ComponentResource("shop:index:Pool", "pool");
      return [new Machine("a", {}, { parent })];
    });
    expect(named(all, "a").__urn).toMatch(/shop:index:Pool\$pulumi-nodejs:dynamic\/machines:Machine::a$/);
  });

  test("an existing machine is read, and needs no identity", async () => {
    const all = await program(() => [Machine.get("known", "dm-7")]);
    expect(all).toMatchObject([{ name: "known", id: "dm-7" }]);
    expect(all[0]?.inputs).not.toHaveProperty("__stackIdentity");
  });

  test.each([
    [["storageGiB"], true],
    [["*"], true],
    [["vcpu"], undefined],
  ])("replaceOnChanges %j tells the provider whether the disk may go", async (replaceOnChanges, expected) => {
    const all = await program(() => [new Machine("a", {}, { replaceOnChanges })]);
    expect(named(all, "a").__replaceOnStorageChange).toBe(expected);
  });

  test("hands no key of the environment to the engine", async () => {
    process.env.MACHINES_API_KEY = "secret-key-1";
    try {
      const all = await program(() => [new Machine("a")]);
      expect(JSON.stringify(all)).not.toContain("secret-key-1");
    } finally {
      delete process.env.MACHINES_API_KEY;
    }
  });
});
