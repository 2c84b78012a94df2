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

// Built and checked again, on the same machine, when the files, the number or the commit change.
const again = {
  machineId: machine.id,
  environment: { PULL_REQUEST: String(pullRequest), COMMIT: commit },
  triggers: [app.hash],
};

const build = new Command(
  "build",
  { ...again, create: "sh ./build.sh", cwd: "/srv/app" },
  { dependsOn: app },
);

const check = new Command(
  "check",
  {
    ...again,
    create: 'cat /srv/public/index.txt && grep -q "#$PULL_REQUEST at $COMMIT" /srv/public/index.txt',
  },
  { dependsOn: build },
);

export const machineId = machine.id;
export const page = check.stdout;
