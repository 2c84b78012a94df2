// The program of the end-to-end tests: the machines that machines.json names, with their arguments, options and component.
const fs = require("node:fs");
const path = require("node:path");
const pulumi = require("@pulumi/pulumi");
const { Machine } = require("pulumi-machines");

const machines = JSON.parse(fs.readFileSync(path.join(__dirname, "machines.json"), "utf8"));
for (const [name, { args, opts, pool, get }] of Object.entries(machines)) {
  const parent = pool && new pulumi.ComponentResource("shop:index:Pool", pool);
  const machine = get ? Machine.get(name, get) : new Machine(name, args, { ...opts, parent });
  exports[name] = { id: machine.id, phase: machine.phase, memoryMiB: machine.memoryMiB };
}
