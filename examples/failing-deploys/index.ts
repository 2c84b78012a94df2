// One machine, and little patience: what a deploy does when the cloud does not play along. The README goes through it.
import { Machine } from "pulumi-machines";

const web = new Machine("web", {
  vcpu: 1,
  memoryMiB: 256,
  storageGiB: 1,
  autosleep: "never",
  failure: { retries: 2 },
  timeouts: { create: "15s", update: "15s" },
});

export const id = web.id;
export const phase = web.phase;
