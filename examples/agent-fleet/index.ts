// A fleet of coding agents: one machine is prepared, a golden snapshot is taken of it, and every agent starts from that.
import * as pulumi from "@pulumi/pulumi";
import { Command, Environment } from "pulumi-machines";

const config = new pulumi.Config();
const agents = config.getNumber("agents") ?? 2;
const task = config.get("task") ?? "count the words of this task";

const fleet = new Environment("agents", {
  machine: { vcpu: 1, memoryMiB: 256, storageGiB: 1 },
  files: { "/opt/agent": new pulumi.asset.FileArchive("agent") },
  setup: ["/opt/agent/agent.sh --self-test"],
  replicas: agents,
  replica: { autosleep: "30m" },
});

export const results = fleet.machines.map((machine, index) => {
  const work = new Command(`task-${index}`, {
    machineId: machine.id,
    create: ["/opt/agent/agent.sh", task],
    environment: { AGENT: `agent ${index}` },
  });
  return work.stdout;
});
export const machines = fleet.replicas;
export const goldenSnapshot = fleet.goldenSnapshotId;
