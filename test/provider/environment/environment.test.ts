import * as pulumi from "@pulumi/pulumi";
import { Environment } from "../../../provider/src/environment/environment";
import { checkEnvironment, type EnvironmentArgs } from "../../../provider/src/environment/args";
import { environmentReference } from "../../../provider/src/environment/reference";
import { program, type Registered } from "./program";

const team = (args: Partial<EnvironmentArgs> = {}): EnvironmentArgs => ({
  machine: { vcpu: 2, env: { MODE: "test" } },
  files: { "/etc/motd": "Hello\n", "/srv/app": { content: "app", mode: "0755" } },
  setup: ["first", { create: ["second"], environment: { TOKEN: pulumi.secret("t") } }],
  replicas: 2,
  replica: { autosleep: "30m", desiredState: "sleeping" },
  snapshot: { metadata: { team: "shop" } },
  triggers: ["once"],
  ...args,
});

/** What a program with this environment registers, and what the environment answers. */
async function registered(args: EnvironmentArgs) {
  let environment: Environment | undefined;
  const all = await program(() => {
    environment = new Environment("team", args);
    return [environment, environment.golden, ...environment.machines];
  });
  return { all, environment: environment as Environment };
}
const inputsOf = (all: Registered[], name: string): Record<string, unknown> => {
  const found = all.find((one) => one.name === name);
  if (!found) throw new Error(`"${name}" was not registered, but ${all.map((one) => one.name).join(", ")}`);
  return found.inputs;
};
const value = <T>(output: pulumi.Output<T>): Promise<T> =>
  new Promise((resolve) => void output.apply(resolve));

test("is a base machine, its files and commands, a golden snapshot, and machines made from it", async () => {
  const { all, environment } = await registered(team());
  expect(all.map(({ name }) => name).sort()).toEqual([
    ...[
      "pulumi-machines",
      "team",
      "team-0",
      "team-1",
      "team-base",
      "team-file-/etc/motd",
      "team-file-/srv/app",
    ],
    ...["team-golden", "team-setup-0", "team-setup-1"],
  ]);
  const base = inputsOf(all, "team-base");
  expect(base).toMatchObject({ vcpu: 2, env: { MODE: "test" }, desiredState: "any", autosleep: "5m" });
  expect(inputsOf(all, "team-file-/etc/motd")).toMatchObject({
    machineId: "team-base-id",
    path: "/etc/motd",
  });
  expect(inputsOf(all, "team-file-/srv/app")).toMatchObject({ mode: "0755" });
  expect(inputsOf(all, "team-setup-0")).toMatchObject({ machineId: "team-base-id", create: "first" });
  expect(inputsOf(all, "team-setup-1")).toMatchObject({ create: ["second"] });
  expect(inputsOf(all, "team-golden")).toMatchObject({
    machineId: "team-base-id",
    metadata: { team: "shop" },
  });
  for (const name of ["team-0", "team-1"]) {
    expect(inputsOf(all, name)).toMatchObject({
      from: { snapshot: "team-golden-id" },
      ...{ autosleep: "30m", desiredState: "sleeping" },
    });
    expect(inputsOf(all, name)).not.toHaveProperty("vcpu");
  }
  expect(inputsOf(all, "team-base").__urn).toMatch(
    /machines:index:Environment\$pulumi-nodejs:dynamic\/machines:Machine::team-base$/,
  );
  expect(await value(environment.replicas)).toEqual(["team-0-id", "team-1-id"]);
  expect(await value(environment.goldenSnapshotId)).toBe("team-golden-id");
  expect(await value(environment.baseMachineId)).toBe("team-base-id");
});

test("everything down to the replicas is built anew by the same trigger", async () => {
  const { all } = await registered(team());
  const names = ["team-base", "team-setup-0", "team-setup-1", "team-golden", "team-0", "team-1"];
  const triggers = names.map((name) => JSON.stringify(inputsOf(all, name).triggers));
  expect(new Set(triggers).size).toBe(1);
  const { all: other } = await registered(team({ triggers: ["twice"] }));
  expect(JSON.stringify(inputsOf(other, "team-0").triggers)).not.toBe(triggers[0]);
});

test("the least of it is a base, a snapshot, and no replica", async () => {
  const { all } = await registered({ replicas: 0 });
  expect(all.map(({ name }) => name).sort()).toEqual(["pulumi-machines", "team", "team-base", "team-golden"]);
});

test("a base that has a lifetime or an autosleep of its own keeps it", async () => {
  const { all } = await registered({ machine: { lifetime: { inactivity: "10m" } }, replicas: 0 });
  expect(inputsOf(all, "team-base")).not.toHaveProperty("autosleep");
  const { all: other } = await registered({ machine: { autosleep: "1h" }, replicas: 0 });
  expect(inputsOf(other, "team-base")).toMatchObject({ autosleep: "1h" });
});

test.each<[object, RegExp]>([
  [{ replicas: 1.5 }, /Environment "team": replicas must be a whole number from 0 to 1000/],
  [{ replicas: pulumi.output(1) }, /replicas must be a whole number .*, known when the program runs/],
  [{}, /replicas must be a whole number/],
  [{ replicas: 1001 }, /replicas must be from 0 to 1000/],
  [{ replicas: 1, files: { motd: "Hello" } }, /files has "motd", which is no absolute path/],
  [{ replicas: 1, setup: "true" }, /setup must be a list of command lines/],
  [{ replicas: 1, machine: 7 }, /machine must be the arguments of a Machine/],
  [
    { replicas: 1, machine: { desiredState: "running" } },
    /machine\.desiredState is always "any"; leave it out/,
  ],
  [{ replicas: 1, replica: { env: {} } }, /replica\.env comes with the golden snapshot: give it to machine/],
  [{ replicas: 1, colour: "red" }, /colour is no argument; known are machine, files, setup/],
])("%# is refused, with what is wrong", (args, reason) => {
  expect(() => {
    checkEnvironment("team", args as EnvironmentArgs);
  }).toThrow(reason);
});

test("the reference describes every argument and output, and what a change does", () => {
  const entries = environmentReference();
  expect(entries.map(({ name }) => name)).toEqual([
    ...["machine", "files", "setup", "snapshot", "replicas", "replica", "triggers"],
    ...["goldenSnapshotId", "baseMachineId", "replicas"],
  ]);
  expect(entries.every(({ description }) => description !== "")).toBe(true);
  expect(entries.filter(({ required }) => required).map(({ name }) => name)).toEqual(["replicas"]);
  expect(entries.find(({ name }) => name === "setup")?.change).toBe("all is built anew, then the old goes");
});
