import * as pulumi from "@pulumi/pulumi";
import { snapshotLoader } from "../../../provider/src/loader";
import { Machine } from "../../../provider/src/machine/resource";
import { Snapshot } from "../../../provider/src/snapshot/resource";
import { program } from "../environment/program";

test("registers what the program said, with its URN and the stack's identity", async () => {
  const all = await program(() => {
    const machine = new Machine("base");
    const triggers = [machine.id, 1, { deep: machine.phase }];
    return [new Snapshot("golden", { machineId: machine.id, triggers, metadata: { of: machine.id } })];
  });
  expect(all.map(({ name }) => name)).toEqual(["pulumi-machines", "base", "golden"]);
  expect(all.at(-1)?.inputs).toMatchObject({
    machineId: "base-id",
    triggers: ["base-id", 1, {}],
    metadata: { of: "base-id" },
    __provider: snapshotLoader,
    __urn: "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/machines:Snapshot::golden",
    __stackIdentity: expect.stringMatching(/^identity/) as string,
  });
});

test("a child has its parent in its URN, and what is only read needs no identity", async () => {
  const all = await program(() => {
    const parent = new pulumi.ComponentResource("shop:index:Pool", "pool");
    return [new Snapshot("golden", { machineId: "dm-1" }, { parent }), Snapshot.get("known", "snap_7")];
  });
  const [golden, known] = ["golden", "known"].map((name) => all.find((one) => one.name === name));
  expect(golden?.inputs.__urn).toMatch(/shop:index:Pool\$pulumi-nodejs:dynamic\/machines:Snapshot::golden$/);
  expect(known).toMatchObject({ id: "snap_7" });
  expect(known?.inputs).not.toHaveProperty("__stackIdentity");
});
