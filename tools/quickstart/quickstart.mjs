/** The main job, from one end to the other: a control plane, a real `pulumi up`, a command in a machine. */
import { createRequire } from "node:module";
import { ask, local, pulumi, StepFailed } from "./commands.mjs";

const require = createRequire(import.meta.url);
const stack = "quickstart";
const args = process.argv.slice(2);

const say = (text) => console.log(`\n\u001b[1m${text}\u001b[0m`);

async function selectStack() {
  await pulumi(["stack", "select", "--create", stack, "--non-interactive"], { quiet: true });
}

/** Starts the control plane unless it runs; answers where it is and with which key. */
async function controlPlane() {
  if (await ask(["status"])) await local(["status"]);
  else await local(["start", "--detach"]);
  return JSON.parse(await local(["status", "--json", "--show-key"], { quiet: true }));
}

async function up() {
  say("1. The embedded control plane");
  const { dedalus, apiKey } = await controlPlane();

  say("2. pulumi up: three machines");
  await selectStack();
  await pulumi(["up", "--yes", "--stack", stack, "--skip-preview"]);

  say("3. What runs now");
  const outputs = JSON.parse(await pulumi(["stack", "output", "--json", "--stack", stack], { quiet: true }));
  console.table(outputs.machines);

  say("4. A command in the first machine");
  const { DedalusClient } = require("@pulumi-machines/sdk");
  const client = new DedalusClient({ baseUrl: dedalus, apiKey });
  try {
    const id = Object.values(outputs.machines)[0].id;
    const command = "echo Hello from $(hostname), with $(ls /proc | grep -c '^[0-9]') processes of its own";
    const result = await client.executions.run(id, { command: ["sh", "-c", command] });
    process.stdout.write(result.stdout + result.stderr);
  } finally {
    await client.close();
  }

  say("What next");
  console.log(`  edit examples/quickstart/index.ts, then    npm run pulumi -- up --stack ${stack}
  look at the control plane                  npx machines-local status
  rehearse a deploy that fails               docs/faults.md
  take everything down                       npm run quickstart -- --destroy`);
}

async function destroy() {
  say("Destroying the machines");
  // Machines that sleep on disk are destroyed by a control plane that runs.
  await controlPlane();
  await selectStack();
  await pulumi(["destroy", "--yes", "--stack", stack, "--skip-preview"]);
  await pulumi(["stack", "rm", "--yes", stack]);
  say("Stopping the control plane");
  await local(["stop"]);
}

try {
  await (args.includes("--destroy") ? destroy() : up());
} catch (error) {
  if (!(error instanceof StepFailed)) throw error;
  console.error(`\n${error.message}`);
  process.exitCode = 1;
}
