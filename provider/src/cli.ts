/** `pulumi-machines`: a report on a preview, and what looks after a stack. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { oneLine } from "./one-line";

/* eslint-disable @typescript-eslint/no-require-imports -- loaded when asked for; import() has no CommonJS resolution */
const commands: Record<string, () => Command> = {
  report: () => (require("./report/command") as typeof import("./report/command")).reportCommand(),
  why: () => (require("./stack/why-command") as typeof import("./stack/why-command")).whyCommand(),
  doctor: () =>
    (require("./stack/doctor-command") as typeof import("./stack/doctor-command")).doctorCommand(),
};
/* eslint-enable @typescript-eslint/no-require-imports */

const more = "(--help shows every option)";

/** Only the command that is asked for is loaded; for the help, all of them. */
function program(asked: string | undefined): Command {
  const cli = new Command("pulumi-machines")
    .description(
      "Looks after stacks of machines: what a preview does, why a machine is as it is, and repairs",
    )
    .version(packageVersion())
    .showHelpAfterError(more);
  const named = asked !== undefined && Object.hasOwn(commands, asked) ? commands[asked] : undefined;
  for (const make of named ? [named] : Object.values(commands)) {
    cli.addCommand(make().showHelpAfterError(more));
  }
  return cli;
}

function packageVersion(): string {
  const text = readFileSync(join(__dirname, "..", "package.json"), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

/** Runs the command line. Errors that a user can cause are one line and exit code 1. */
export async function main(argv: readonly string[]): Promise<void> {
  // Who closes the other end of the pipe has read enough.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
  try {
    await program(argv[2]).parseAsync(argv);
  } catch (error) {
    process.stderr.write(
      `pulumi-machines: ${oneLine(error instanceof Error ? error.message : String(error))}\n`,
    );
    process.exitCode = 1;
  }
}
