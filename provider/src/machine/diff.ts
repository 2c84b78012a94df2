/** What a change in the program means for a machine. Pure. */
import { parseDuration } from "@pulumi-machines/sdk/duration";
import { mayLoseDisk } from "./check";
import { isUnknown } from "../hidden";

export interface MachineDiff {
  changes: boolean;
  replaces: string[];
  /** Names of the arguments that differ, for messages and tests. */
  changed: string[];
}

/**
 * @param olds What the state says of the machine: its live values.
 * @param news The checked inputs; may hold values that are not known yet, which count as changed and never replace.
 */
export function diffMachine(olds: Record<string, unknown>, news: Record<string, unknown>): MachineDiff {
  const changed = (["vcpu", "memoryMiB", "storageGiB", "desiredState"] as const).filter(
    (name) => news[name] !== undefined && (isUnknown(news[name]) || news[name] !== olds[name]),
  ) as string[];
  if (autosleepDiffers(olds, news)) changed.push("autosleep");
  const shrinks =
    typeof olds.storageGiB === "number" &&
    typeof news.storageGiB === "number" &&
    news.storageGiB < olds.storageGiB;
  const replaces = shrinks && mayLoseDisk(news) ? ["storageGiB"] : [];
  return { changes: changed.length > 0, replaces, changed };
}

function autosleepDiffers(olds: Record<string, unknown>, news: Record<string, unknown>): boolean {
  const wanted = news.autosleep;
  if (wanted === undefined) return false;
  if (isUnknown(wanted) || typeof wanted !== "string") return true;
  const has =
    typeof olds.autosleepSeconds === "number" ? olds.autosleepSeconds : secondsOrNone(olds.autosleep);
  return has !== parseDuration(wanted);
}

/** Old states were checked when they were written; a text that does not parse any more is simply different. */
function secondsOrNone(value: unknown): number | undefined {
  try {
    return typeof value === "string" ? parseDuration(value) : undefined;
  } catch {
    return undefined;
  }
}
