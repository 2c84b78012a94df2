/** `pulumi-machines report`: what a preview means for machines, for a pull request. */
import { Command, InvalidArgumentError, Option } from "commander";
import { backends, type Backend } from "../controlplane/capabilities";
import { backendIn } from "../settings";
import { exitCodes } from "./exit-codes";
import { jsonOf } from "./json";
import { defaultMaxLength, markdownOf, minMaxLength } from "./markdown";
import { reportOf } from "./report";
import { fromPulumi, fromStandardInput } from "./source";

interface ReportFlags {
  stack?: string;
  cwd?: string;
  pulumi?: string;
  backend?: Backend;
  json?: true;
  maxLength: number;
  exitZero?: true;
}

export function reportCommand(): Command {
  return new Command("report")
    .description(
      "say in Markdown what a preview does to machines: of the preview on standard input, or of one that it runs\n" +
        "when --stack, --cwd, --pulumi or arguments after -- are given",
    )
    .usage("[options] [-- arguments of pulumi preview]")
    .argument("[arguments...]", "for pulumi preview, after --, such as: -- --refresh")
    .option("-s, --stack <name>", "run the preview of this stack")
    .option("-C, --cwd <folder>", "run the preview in this folder")
    .option("--pulumi <path>", "run the preview with this CLI (default: pulumi on the PATH)")
    .addOption(
      new Option(
        "--backend <name>",
        "where the machines are (default: as the stack's configuration says)",
      ).choices(backends),
    )
    .option("--json", "print JSON instead of Markdown")
    .option(
      "--max-length <characters>",
      `cut the Markdown to this length, at least ${String(minMaxLength)}`,
      length,
      defaultMaxLength,
    )
    .option("--exit-zero", "end with 0 whatever changes; with 1 still when the preview failed")
    .addHelpText(
      "after",
      "\nEnds with 0 without changes, 2 with changes, 3 when a disk is lost or a machine restarts, 1 on errors.\n" +
        "See docs/ci.md for the Markdown, the JSON, and how a job keeps one comment up to date.",
    )
    .action(report);
}

async function report(more: string[], flags: ReportFlags): Promise<void> {
  const { preview, ...place } = await sourceOf(more, flags);
  const { config } = preview;
  const backend = flags.backend ?? backendIn((key) => config[key], process.env) ?? "local";
  const found = reportOf(preview, { backend, ...place });
  const text = flags.json
    ? `${JSON.stringify(jsonOf(found), undefined, 2)}\n`
    : markdownOf(found, flags.maxLength);
  // Waits until a pipe has taken it all: the exit code must not cut it.
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()));
  });
  const code = exitCodes[found.outcome];
  process.exitCode = flags.exitZero && found.outcome !== "error" ? 0 : code;
}

function sourceOf(more: string[], { stack, cwd, pulumi }: ReportFlags) {
  const run = stack !== undefined || cwd !== undefined || pulumi !== undefined || more.length > 0;
  if (run) {
    return fromPulumi({
      pulumi: pulumi ?? "pulumi",
      more,
      ...(stack === undefined ? {} : { stack }),
      ...(cwd === undefined ? {} : { cwd }),
    });
  }
  if (process.stdin.isTTY) {
    throw new Error(
      "there is no preview on standard input; run: pulumi preview --json --show-sames | pulumi-machines report, " +
        "or let it run the preview: pulumi-machines report --stack NAME",
    );
  }
  return fromStandardInput(process.stdin);
}

function length(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < minMaxLength) {
    throw new InvalidArgumentError(`It must be a whole number from ${String(minMaxLength)}.`);
  }
  return value;
}
