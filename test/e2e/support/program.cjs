// The program of the end-to-end tests: the machines that machines.json names, with their arguments and options.
const fs = require("node:fs");
const path = require("node:path");
const { Machine } = require("pulumi-machines");

const machines = JSON.parse(fs.readFileSync(path.join(__dirname, "machines.json"), "utf8"));
for (const [name, { args, opts }] of Object.entries(machines)) {
  const machine = new Machine(name, args, opts);
  exports[name] = { id: machine.id, phase: machine.phase, memoryMiB: machine.memoryMiB };
}
