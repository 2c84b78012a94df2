/** What is said when the control plane is ready. */
import type { Local } from "../start-local";
import { statePaths } from "../state-folder";

export type ReadyFacts = Pick<Local, "url" | "dedalus" | "nullspace" | "apiKey" | "stateDir" | "driver">;

export const readyFacts = (local: Local): ReadyFacts => ({
  url: local.url,
  dedalus: local.dedalus,
  nullspace: local.nullspace,
  apiKey: local.apiKey,
  stateDir: local.stateDir,
  driver: local.driver,
});

/** The one line that other programs read. */
const readyLine = ({ url, dedalus, nullspace, apiKey }: ReadyFacts): string =>
  JSON.stringify({ event: "ready", url, dedalus, nullspace, apiKey });

const readyText = (facts: ReadyFacts, how: string): string =>
  [
    `The embedded control plane is ready; the driver is "${facts.driver}".`,
    `  Dedalus API    ${facts.dedalus}`,
    `  Nullspace API  ${facts.nullspace}`,
    `  API key        machines-local status --show-key`,
    `  State          ${facts.stateDir}`,
    `  Log            ${statePaths(facts.stateDir).log}`,
    how,
  ].join("\n");

export function sayReady(facts: ReadyFacts, { json, how }: { json: boolean; how: string }): void {
  process.stdout.write(`${json ? readyLine(facts) : readyText(facts, how)}\n`);
}

export const warn = (line: string): void => {
  process.stderr.write(`warning: ${line}\n`);
};
