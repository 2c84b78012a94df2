/** `pulumi-machines why`: one machine's timeline, and why it is as it is. */
import { Command } from "commander";
import { openStack } from "./open-stack";
import {
  allowedMs,
  print,
  spanOption,
  stackOptionsOf,
  withStackOptions,
  type StackFlags,
} from "./stack-options";
import { situationOf } from "./why";
import { whyJson, whyText } from "./why-report";

interface WhyFlags extends StackFlags {
  since: number;
}

export function whyCommand(): Command {
  return withStackOptions(
    new Command("why")
      .description("say why a machine is as it is: what happened to it, and in one sentence why")
      .argument("<machine>", "its resource name, URN or machine id"),
  )
    .option("--since <duration>", "show what happened since, such as 30m or 7d", spanOption, 86_400_000)
    .addHelpText(
      "after",
      "\nThe last line says why. Ends with 1 when that cannot be said.\nSee docs/looking-after.md.",
    )
    .action(why);
}

async function why(asked: string, flags: WhyFlags): Promise<void> {
  const opened = await openStack(stackOptionsOf(flags), process.env);
  try {
    const signal = AbortSignal.timeout(allowedMs);
    const situation = await situationOf(asked, opened, { signal, nowMs: Date.now() });
    const options = { sinceMs: flags.since, secrets: opened.secrets };
    await print(
      flags.json
        ? `${JSON.stringify(whyJson(situation, options), undefined, 2)}\n`
        : whyText(situation, options),
    );
    if (situation.sight.kind === "unasked") process.exitCode = 1;
  } finally {
    await opened.plane.close();
  }
}
