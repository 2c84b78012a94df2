// Machines for working hours: `pulumi config set night true` and `pulumi up` put them to sleep, `false` wakes them.
import * as pulumi from "@pulumi/pulumi";
import { Machine } from "pulumi-machines";

const night = new pulumi.Config().getBoolean("night") ?? false;
const size = { vcpu: 1, memoryMiB: 256, storageGiB: 1 };
const desiredState = night ? "sleeping" : "running";

// Sleep exactly at night: their disks, and what is on them, stay.
const team = ["ada", "grace"].map((name) => new Machine(name, { ...size, autosleep: "never", desiredState }));

// Whoever is on call wakes it and lets it sleep: whatever it does is fine.
const onCall = new Machine("on-call", { ...size, autosleep: "10m", desiredState: "any" });

export const phases = { team: team.map(({ phase }) => phase), onCall: onCall.phase };
