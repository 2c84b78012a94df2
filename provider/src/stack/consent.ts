/** Which findings may be mended: asked one by one, or agreed to on the command line. */
import { createInterface } from "node:readline/promises";
import { fixText, type Finding } from "./finding";
import type { Repair } from "./doctor-report";
import { plainText } from "./plain-text";

export interface ConsentOptions {
  yes: boolean;
  /** Ids of machines that may be deleted although nothing says that they were left behind. */
  named: readonly string[];
  secrets: readonly string[];
}

export interface Consent {
  agreed: Finding[];
  others: Repair[];
}

/** `--fix` was given where nobody can be asked. */
export class NobodyToAskError extends Error {
  override readonly name = "NobodyToAskError";
}

/** Without a question. Pure. */
export function agreedTo(findings: readonly Finding[], named: readonly string[]): Consent {
  const consent: Consent = { agreed: [], others: [] };
  for (const finding of findings) {
    const { fix, subject, mustBeNamed } = finding;
    if (fix === undefined || finding.severity === "note") continue;
    const isNamed = fix.do === "delete_machine" && named.includes(fix.machineId);
    if (mustBeNamed !== true || isNamed) consent.agreed.push(finding);
    else {
      const why = `nothing says that it was left behind: name it with --delete ${fix.do === "delete_machine" ? fix.machineId : subject}`;
      consent.others.push({ subject, what: fixText(fix), outcome: "not asked", why });
    }
  }
  return consent;
}

/** @throws NobodyToAskError without a terminal and without --yes */
export function checkAskable(yes: boolean, isTerminal: boolean): void {
  if (yes || isTerminal) return;
  throw new NobodyToAskError(
    "--fix asks before each change and needs a terminal; without one, give --yes as well",
  );
}

/** Call `checkAskable` first. */
export async function consentTo(
  findings: readonly Finding[],
  { yes, named, secrets }: ConsentOptions,
): Promise<Consent> {
  if (yes) return agreedTo(findings, named);
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  // Whoever closes the input agrees to nothing more.
  const closed = new Promise<string>((resolve) => terminal.once("close", () => resolve("")));
  try {
    const ask = (question: string): Promise<string> =>
      Promise.race([terminal.question(plainText(question, secrets) + " [y/N] "), closed]);
    return await askedOf(findings, ask);
  } finally {
    terminal.close();
  }
}

/** One question for each change; only a yes is one. */
export async function askedOf(
  findings: readonly Finding[],
  ask: (question: string) => Promise<string>,
): Promise<Consent> {
  const consent: Consent = { agreed: [], others: [] };
  for (const finding of findings) {
    const { fix, subject, severity } = finding;
    if (fix === undefined || severity === "note") continue;
    const what = fixText(fix);
    const answer = await ask(`${subject}: ${what}?`);
    if (/^y(es)?$/i.test(answer.trim())) consent.agreed.push(finding);
    else consent.others.push({ subject, what, outcome: "refused" });
  }
  return consent;
}
