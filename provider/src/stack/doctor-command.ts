/** `pulumi-machines doctor`: compares a stack with its backend, and mends it where asked to. */
import { Command } from "commander";
import { checkAskable, consentTo } from "./consent";
import { diagnose, exitCodeOf, type Diagnosis } from "./doctor";
import { doctorJson, doctorText, repairText, type Repair } from "./doctor-report";
import { openStack, type OpenedStack, type StackOptions } from "./open-stack";
import { repair } from "./repair";
import { allowedMs, print, stackOptionsOf, withStackOptions, type StackFlags } from "./stack-options";

interface DoctorFlags extends StackFlags {
  fix?: true;
  yes?: true;
  delete?: string[];
}

export function doctorCommand(): Command {
  return withStackOptions(
    new Command("doctor").description("compare a stack with its backend; changes nothing without --fix"),
  )
    .option("--fix", "mend what can be mended; asks before each change")
    .option("-y, --yes", "with --fix: do not ask")
    .option(
      "--delete <machine id...>",
      "with --fix --yes: also delete these, found as unknown machines of this stack",
    )
    .addHelpText(
      "after",
      "\nEnds with 0 when all is well, 2 with faults, 1 when it could not look. See docs/looking-after.md.",
    )
    .action(doctor);
}

async function doctor(flags: DoctorFlags): Promise<void> {
  if (flags.fix && (flags.backend !== undefined || flags.endpoint !== undefined)) {
    throw new Error(
      "--fix works with the stack's own settings, as its next deploy does: leave out --backend and --endpoint",
    );
  }
  if (!flags.fix && (flags.yes || flags.delete))
    throw new Error("--yes and --delete belong to --fix: give it as well");
  if (flags.json && flags.fix && !flags.yes) {
    throw new Error("--fix asks on the terminal, where --json prints: give --yes as well");
  }
  if (flags.fix) checkAskable(flags.yes === true, process.stdin.isTTY && process.stdout.isTTY);
  const options = stackOptionsOf(flags);
  const opened = await openStack(options, process.env);
  try {
    const diagnosis = await lookAgain(opened, options);
    if (flags.fix) await mend(diagnosis, opened, flags, options);
    else {
      await print(
        flags.json
          ? `${JSON.stringify(doctorJson(diagnosis, undefined, opened.secrets), undefined, 2)}\n`
          : doctorText(diagnosis, opened.secrets),
      );
      process.exitCode = exitCodeOf(diagnosis);
    }
  } finally {
    await opened.plane.close();
  }
}

const lookAgain = (opened: OpenedStack, options: StackOptions): Promise<Diagnosis> =>
  diagnose(opened, options, { signal: AbortSignal.timeout(allowedMs), env: process.env });

/** The exit code is of what is left. */
async function mend(
  found: Diagnosis,
  opened: OpenedStack,
  { yes, delete: named = [], json }: DoctorFlags,
  options: StackOptions,
): Promise<void> {
  const { secrets } = opened;
  if (!json) await print(doctorText(found, secrets));
  const consent = await consentTo(found.findings, { yes: yes === true, named, secrets });
  const done = await repair(consent.agreed, opened, AbortSignal.timeout(allowedMs));
  const repairs: Repair[] = [...done, ...consent.others];
  const after = await openStack(options, process.env);
  try {
    const left = await lookAgain(after, options);
    await print(
      json
        ? `${JSON.stringify(doctorJson(left, repairs, secrets), undefined, 2)}\n`
        : `\n${repairs.map((one) => `${repairText(one, secrets)}\n`).join("")}\nAfter that:\n${doctorText(left, secrets)}`,
    );
    process.exitCode = exitCodeOf(left);
  } finally {
    await after.plane.close();
  }
}
