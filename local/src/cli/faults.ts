/** `machines-local faults`: reads or replaces the fault script of a control plane that runs. */
import type { Endpoint } from "../state-folder";
import { heldBy } from "../state-lock";
import { type FaultScript, faultScript } from "../faults";

const answerTimeoutMs = 5_000;

export interface FaultsFlags {
  state: string;
  clear?: boolean;
}

export async function faults(script: FaultScript | undefined, flags: FaultsFlags): Promise<void> {
  if (script && flags.clear) throw new Error("give a fault script, or --clear, not both");
  const endpoint = heldBy(flags.state)?.endpoint;
  if (!endpoint) {
    throw new Error(`no control plane runs on ${flags.state}. Start one with: machines-local start --detach`);
  }
  const { rules } = await send(endpoint, script ?? (flags.clear ? { rules: [] } : undefined));
  const count = `${String(rules.length)} ${rules.length === 1 ? "rule" : "rules"}`;
  process.stdout.write(
    rules.length === 0
      ? "No faults are in force.\n"
      : `${count} in force${script ? ", counted from now" : ""}:\n${JSON.stringify({ rules }, null, 2)}\n`,
  );
}

/** Replaces the script where there is one, else reads it. @throws Error when it does not answer */
async function send({ url, apiKey, pid }: Endpoint, script: FaultScript | undefined): Promise<FaultScript> {
  try {
    const response = await fetch(`${url}/local/faults`, {
      method: script ? "PUT" : "GET",
      headers: {
        authorization: `Bearer ${apiKey}`,
        ...(script ? { "content-type": "application/json" } : {}),
      },
      ...(script ? { body: JSON.stringify(script) } : {}),
      signal: AbortSignal.timeout(answerTimeoutMs),
    });
    if (!response.ok) throw new Error(`it answered ${String(response.status)}`);
    return faultScript.parse(await response.json());
  } catch (error) {
    throw new Error(
      `process ${String(pid)} holds the state folder but does not answer at ${url}: ${(error as Error).message}. ` +
        `Look at "machines-local logs".`,
      { cause: error },
    );
  }
}
