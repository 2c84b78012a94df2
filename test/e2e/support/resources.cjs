// A program of resources that resources.json names: { name: { kind, args, opts, after } }. A text "${other.output}" in the
// arguments is that output; what is in "secret" becomes a secret.
const fs = require("node:fs");
const path = require("node:path");
const pulumi = require("@pulumi/pulumi");
const machines = require("pulumi-machines");

const asked = JSON.parse(fs.readFileSync(path.join(__dirname, "resources.json"), "utf8"));
const made = {};

function filled(value) {
  if (Array.isArray(value)) return value.map(filled);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, filled(member)]));
  }
  const reference = typeof value === "string" ? /^\$\{(.+)\.(\w+)\}$/.exec(value) : null;
  return reference ? made[reference[1]][reference[2]] : value;
}

for (const [name, { kind, args, opts, after, secret }] of Object.entries(asked)) {
  const given = filled(args);
  for (const member of secret ?? []) given[member] = pulumi.secret(given[member]);
  const dependsOn = (after ?? []).map((other) => made[other]);
  made[name] = new machines[kind](name, given, { ...opts, dependsOn });
  exports[name] = made[name].id ?? made[name].urn;
}
