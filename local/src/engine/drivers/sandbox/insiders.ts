/** The processes of a machine, as the host sees them. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

export interface Insider {
  pid: number;
  parent: number;
  /** One letter, as in /proc: R, S, D, T, Z, ... */
  state: string;
}

/** Everything in the pid namespace of this init, but init itself. */
export function insidersOf(init: number): Insider[] {
  const namespace = linkOf(init);
  if (namespace === undefined) return [];
  return readdirSync("/proc").flatMap((name) => {
    const pid = Number(name);
    if (Number.isNaN(pid) || pid === init || linkOf(pid) !== namespace) return [];
    const text = statOf(pid);
    const [state, parent] = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return state === undefined || state === "" ? [] : [{ pid, parent: Number(parent), state }];
  });
}

function linkOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined; // it has ended, or is another user's
  }
}

/** Empty when the process has ended. */
function statOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return "";
  }
}
