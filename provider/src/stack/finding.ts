/** What `doctor` finds, and what can be done about it. */

export type FindingKind =
  | "unknown_machine"
  | "let_go_machine"
  | "fork"
  | "namesake"
  | "missing"
  | "destroying"
  | "drift"
  | "failed"
  | "unfinished"
  | "other_backend"
  | "key_refused"
  | "pending_operation"
  | "interrupted_create"
  | "stale_journal"
  | "version";

export type Fix =
  | { do: "delete_machine"; machineId: string; key?: string }
  | { do: "remove_entry"; urn: string }
  /** Only when these machines are gone, or to be deleted as well. */
  | { do: "clear_pending"; needs: readonly string[] }
  | { do: "close_journal"; key: string; as: "gone" | "recorded" };

export interface Finding {
  kind: FindingKind;
  /** A note is no fault: it changes neither the exit code nor anything with `--fix`. */
  severity: "fault" | "note";
  /** What it is about: a resource name, an id, a program. */
  subject: string;
  what: string;
  /** What to do. */
  next: string;
  fix?: Fix;
  /** True when nothing tells that the thing to delete is a left-over: `--yes` alone does not delete it. */
  mustBeNamed?: boolean;
}

export const isFault = ({ severity }: Finding): boolean => severity === "fault";

/** What a fix does, as a question asks it. */
export function fixText(fix: Fix): string {
  switch (fix.do) {
    case "delete_machine":
      return `delete machine ${fix.machineId}, with its disk`;
    case "remove_entry":
      return `take ${fix.urn} out of the state, by a refresh of it alone`;
    case "clear_pending":
      return "clear the pending operations from the state";
    case "close_journal":
      return "close the entry in this computer's create journal";
  }
}
