/** Why a machine failed. Pure. */
import type { MachineDetails } from "../controlplane/port";
import { failureOf } from "./cause";
import { called } from "./cause-words";
import { repairCommand } from "./compare-entry";
import type { Explanation } from "./sentence";
import type { Situation } from "./situation";
import { ago } from "./times";

const attempts: Record<string, string> = {
  create: "while it was made",
  fork: "while it was copied from another machine",
  resume_from_snapshot: "while it woke",
  hibernate: "while it went to sleep",
  destroy: "while it was destroyed",
  reconcile: "while it ran",
};

export function failed(situation: Situation, machine: MachineDetails): Explanation {
  const { nowMs, entry } = situation;
  const event = failureOf(situation);
  const at = machine.lastTransitionAt ?? event?.occurredAt;
  const when = at === undefined ? "" : ` ${ago(at, nowMs)}`;
  const during = event === undefined ? undefined : attempts[event.operation];
  const reason = machine.reason === "" ? (event?.errorCode ?? "no reason given") : machine.reason;
  const error = machine.lastError ?? event?.errorMessage;
  const what = `${reason}${error === undefined || error === reason ? "" : `: ${error}`}`;
  const help = machine.retryable
    ? "the service calls this failure retryable"
    : "the service says that trying again will not help: mend what it names first";
  const then =
    entry === undefined
      ? ""
      : machine.retryable
        ? `; "${repairCommand(entry)}" tries again, "pulumi destroy" removes it`
        : `; then "${repairCommand(entry)}" repairs it, and "pulumi destroy" removes it`;
  return {
    code: machine.retryable ? "failed_retryable" : "failed",
    sentence: `${called(situation)} failed${when}${during === undefined ? "" : ` ${during}`}: ${what.replace(/\.$/, "")}; ${help}${then}.`,
  };
}
