import { machineArgs } from "../../../provider/src/machine/args";
import { machineReference } from "../../../provider/src/machine/reference";

test("the reference tells every argument and output, with type, default and what a change does", () => {
  const reference = machineReference();
  const args = reference.filter((entry) => entry.kind === "argument");
  expect(args.map((entry) => entry.name)).toEqual(Object.keys(machineArgs.shape));
  for (const entry of reference) expect(entry.description).toMatch(/\.$/);
  for (const entry of args) expect(entry.change).toBeTruthy();
  expect(args.find((entry) => entry.name === "vcpu")).toMatchObject({
    type: "number",
    default: "1",
    change: "in place; replaces on nullspace",
  });
  expect(args.find((entry) => entry.name === "network")?.change).toBe(
    "`egress`: in place; restarts on local; `allowPublicTraffic`: replaces; `maskRequestHost`: replaces",
  );
  expect(args.find((entry) => entry.name === "desiredState")).toMatchObject({
    type: '"running" | "sleeping" | "any"',
    default: '"running"',
  });
  expect(args.find((entry) => entry.name === "timeouts")).toMatchObject({
    type: "{ create?: string; update?: string; delete?: string }",
    default: '{ create: "10m", update: "10m", delete: "5m" }',
  });
  expect(reference.map((entry) => entry.name)).toContain("lastError");
});
