// One stack per pull request: a machine with the pull request's files, built and checked, that goes by itself when it is forgotten.
import * as pulumi from "@pulumi/pulumi";
import { Command, File, Machine } from "pulumi-machines";

const config = new pulumi.Config();
const pullRequest = config.requireNumber("pullRequest");
const commit = config.get("commit") ?? "unknown";

const machine = new Machine("preview", {
  vcpu: 1,
  memoryMiB: 256,
  storageGiB: 1,
  autosleep: "15m",
  // Closed without anybody destroying the stack: the machine goes three days after it was last used.
  lifetime: { timeout: "7d", deleteAfterSleeping: "3d" },
  metadata: { pullRequest: String(pullRequest) },
});

const app = new File("app", {
  machineId: machine.id,
  path: "/srv/app",
  content: new pulumi.asset.FileArchive("app"),
});

const build = new Command(
  "build",
  {
    machineId: machine.id,
    create: "sh ./build.sh",
    cwd: "/srv/app",
    environment: { PULL_REQUEST: String(pullRequest), COMMIT: commit },
    // Built again on the same machine when the files or the commit change.
    triggers: [app.hash],
  },
  { dependsOn: app },
);

const check = new Command(
  "check",
  {
    machineId: machine.id,
    create: "grep -q '#' /srv/public/index.txt && cat /srv/public/index.txt",
    triggers: [build.id],
  },
  { dependsOn: build },
);

export const machineId = machine.id;
export const page = check.stdout;
