/** `machines-local status` */
import { z } from "zod";
import type { Endpoint } from "../state-folder";
import { heldBy } from "../state-lock";

const answerTimeoutMs = 5_000;

const statusAnswer = z.looseObject({
  version: z.string(),
  driver: z.string(),
  notEnforced: z.array(z.string()),
  machines: z.number(),
  uptimeSeconds: z.number(),
});

export interface StatusFlags {
  state: string;
  json?: boolean;
  showKey?: boolean;
}

export async function status(flags: StatusFlags): Promise<void> {
  const held = heldBy(flags.state);
  if (!held?.endpoint) {
    const pid = held?.holder?.pid;
    const words = held
      ? `The control plane of ${flags.state} (process ${String(pid ?? "unknown")}) is just starting or stopping.`
      : `No control plane runs on ${flags.state}. Start one with: machines-local start --detach`;
    say(flags, { running: false, stateDir: flags.state, ...(pid === undefined ? {} : { pid }) }, words);
    process.exitCode = 1;
    return;
  }
  const { apiKey, ...endpoint } = held.endpoint;
  const about = await ask(held.endpoint);
  const key = flags.showKey ? { apiKey } : {};
  say(
    flags,
    { running: true, ...endpoint, ...about, ...key },
    [
      `The control plane runs as process ${String(endpoint.pid)} since ${endpoint.startedAt}.`,
      `  Dedalus API    ${endpoint.dedalus}`,
      `  Nullspace API  ${endpoint.nullspace}`,
      ...(flags.showKey ? [`  API key        ${apiKey}`] : []),
      `  Driver         ${about.driver}${about.notEnforced.length > 0 ? ` (not enforced: ${about.notEnforced.join(", ")})` : ""}`,
      `  Machines       ${String(about.machines)}`,
      `  State          ${flags.state}`,
    ].join("\n"),
  );
}

function say(flags: StatusFlags, facts: Record<string, unknown>, words: string): void {
  process.stdout.write(`${flags.json ? JSON.stringify(facts) : words}\n`);
}

/** @throws Error when it does not answer. */
async function ask(endpoint: Endpoint): Promise<z.infer<typeof statusAnswer>> {
  try {
    const response = await fetch(`${endpoint.url}/local/status`, {
      headers: { authorization: `Bearer ${endpoint.apiKey}` },
      signal: AbortSignal.timeout(answerTimeoutMs),
    });
    if (!response.ok) throw new Error(`it answered ${String(response.status)}`);
    return statusAnswer.parse(await response.json());
  } catch (error) {
    throw new Error(
      `process ${String(endpoint.pid)} holds the state folder but does not answer at ${endpoint.url}: ` +
        `${(error as Error).message}. Look at "machines-local logs".`,
      { cause: error },
    );
  }
}
