// A program of environments: those that environment.json names, with their arguments. A text "asset:PATH" among the files is
// a file of the project.
const fs = require("node:fs");
const path = require("node:path");
const pulumi = require("@pulumi/pulumi");
const { Environment, Snapshot } = require("pulumi-machines");

const { environments = {}, snapshots = {} } = JSON.parse(
  fs.readFileSync(path.join(__dirname, "environment.json"), "utf8"),
);
const filled = (file) =>
  typeof file === "string" && file.startsWith("asset:")
    ? new pulumi.asset.FileAsset(path.join(__dirname, file.slice("asset:".length)))
    : file;

for (const [name, { files = {}, ...args }] of Object.entries(environments)) {
  const content = Object.fromEntries(Object.entries(files).map(([target, file]) => [target, filled(file)]));
  const made = new Environment(name, { ...args, files: content });
  exports[name] = { golden: made.goldenSnapshotId, base: made.baseMachineId, replicas: made.replicas };
}
for (const [name, { args, opts, get }] of Object.entries(snapshots)) {
  const snapshot = get ? Snapshot.get(name, get) : new Snapshot(name, args, opts);
  exports[name] = {
    machineId: snapshot.machineId,
    sizeBytes: snapshot.sizeBytes,
    metadata: snapshot.metadata,
  };
}
