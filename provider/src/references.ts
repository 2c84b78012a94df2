/** Every resource's reference, in the order of docs/reference.md. */
import { commandReference } from "./command/reference";
import { environmentReference } from "./environment/reference";
import { fileReference } from "./file/reference";
import { machineReference } from "./machine/reference";
import type { ReferenceEntry } from "./reference";
import { snapshotReference } from "./snapshot/reference";
import { webhookReference } from "./webhook/reference";

export interface ResourceReference {
  title: string;
  /** One sentence or two. */
  summary: string;
  entries: ReferenceEntry[];
}

export const references = (): ResourceReference[] => [
  {
    title: "Machine",
    summary:
      "A machine. Create, update and delete return when it is in its desired state, and say why when it does not get there.",
    entries: machineReference(),
  },
  {
    title: "Snapshot",
    summary: "A machine's disk at one moment. New machines start from it: `from: { snapshot: snapshot.id }`.",
    entries: snapshotReference(),
  },
  {
    title: "Command",
    summary:
      "A command in a machine. Its output is on the terminal while it runs, and a non-zero exit fails the deploy. After a deploy " +
      "that was killed, the next one on the same computer follows the command that runs still, and takes the output of one that " +
      "succeeded; a command that failed runs again.",
    entries: commandReference(),
  },
  {
    title: "File",
    summary: "A text, an asset or a folder in a machine, written again when it changes here or there.",
    entries: fileReference(),
  },
  {
    title: "Webhook",
    summary: "Signed messages about what happens to machines and snapshots of the account.",
    entries: webhookReference(),
  },
  {
    title: "Environment",
    summary:
      "A component: a base machine, its files and set-up commands, a golden snapshot of it, and machines that start from that.",
    entries: environmentReference(),
  },
];
