// A program of webhooks, machines and questions that webhooks.json names. A secret "config:NAME" is that secret of the stack's
// configuration; the answers to the questions are outputs.
const fs = require("node:fs");
const path = require("node:path");
const pulumi = require("@pulumi/pulumi");
const machines = require("pulumi-machines");

const asked = JSON.parse(fs.readFileSync(path.join(__dirname, "webhooks.json"), "utf8"));
const config = new pulumi.Config();
const made = {};

for (const [name, { args, get }] of Object.entries(asked.webhooks ?? {})) {
  const configured = /^config:(.+)$/.exec(args?.secret ?? "")?.[1];
  const given = configured === undefined ? args : { ...args, secret: config.requireSecret(configured) };
  made[name] = get ? machines.Webhook.get(name, get) : new machines.Webhook(name, given);
  const { url, enabled, hasSecret } = made[name];
  exports[name] = { url, enabled, hasSecret };
}
for (const [name, args] of Object.entries(asked.machines ?? {})) {
  made[name] = new machines.Machine(name, args, { dependsOn: Object.values(made) });
  // Of a machine that this program makes: known only when it is there.
  exports[`${name}-asked`] = machines.getMachineOutput({ id: made[name].id }).phase;
  exports[`${name}-told`] = machines
    .listLifecycleEventsOutput({ machineId: made[name].id, operation: "create", status: "succeeded" })
    .apply((events) => events.length);
}
if (asked.questions) {
  exports.counted = machines.listMachines(asked.questions).then((found) => {
    console.log(`there are ${found.length} machines`);
    return found.length;
  });
}
if (asked.machine) exports.known = machines.getMachine({ id: asked.machine });
