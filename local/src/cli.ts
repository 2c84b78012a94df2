/** `machines-local`: start, status, stop, logs and faults of the embedded control plane. */
import { resolve } from "node:path";
import { Command, Option } from "commander";
import { runDetached } from "./cli/detached-child";
import { faults } from "./cli/faults";
import { faultsFile } from "./cli/faults-file";
import { logs } from "./cli/logs";
import {
  capacity,
  count,
  driverNames,
  limits,
  milliseconds,
  port,
  type StartFlags,
} from "./cli/option-values";
import { start } from "./cli/start";
import { status } from "./cli/status";
import { stop } from "./cli/stop";
import { defaultPort } from "./settings";
import { defaultStateDir } from "./state-folder";
import { packageVersion } from "./version";

/** The folder where neither option nor variable names one. */
const usualStateDir = () => defaultStateDir({ ...process.env, MACHINES_LOCAL_STATE: "" });

const stateOption = () =>
  new Option("--state <dir>", "state folder")
    .env("MACHINES_LOCAL_STATE")
    .argParser((text) => (text === "" ? usualStateDir() : resolve(text)))
    .default(usualStateDir());

function program(): Command {
  const cli = new Command("machines-local")
    .description(
      "The embedded control plane: real machines on this host, behind the wire format of the cloud",
    )
    .version(packageVersion())
    .showHelpAfterError("(--help shows every option)");

  cli
    .command("start")
    .description("start it, and serve until Ctrl-C or SIGTERM; machines outlive it")
    .option("--port <number>", "port to listen on; 0 picks a free one", port, defaultPort)
    .option("--host <address>", "address to listen on; any but loopback opens it to the network", "127.0.0.1")
    .addOption(stateOption())
    .addOption(
      new Option(
        "--api-key <key>",
        "key that requests need; others see command lines, so prefer the variable",
      )
        .env("MACHINES_LOCAL_API_KEY")
        .default(undefined, "the key in the state folder, made on the first start"),
    )
    .option("--organization <id>", "refuse requests that name another organization")
    .addOption(
      new Option("--driver <name>", "what runs machines: sandboxes where they work, else processes")
        .choices(driverNames)
        .default("auto"),
    )
    .option("--faults <file>", "fault script: failures to rehearse (docs/faults.md)", faultsFile)
    .option("--flat-phase", "answer as the newest API generation does, too: flat phase, empty create")
    .option("--capacity <sizes>", "room for awake machines, such as vcpu=8,memory=16384 (MiB)", capacity)
    .option(
      "--placement-timeout <duration>",
      "how long a machine waits for room (default: 30s)",
      milliseconds,
    )
    .option(
      "--sleep-hold-window <duration>",
      "refuse sleep for so long after a wake, such as 300s",
      milliseconds,
    )
    .option(
      "--limits <ranges>",
      "sizes of one machine, such as vcpu=0.25..4,memory=256..8192,storage=1..50",
      limits,
    )
    .option("--allow-http-webhooks", "take webhooks to http:// URLs of this host's loopback, for tests")
    .option(
      "--event-retention <duration>",
      "how long the lifecycle log keeps an event (default: 90 days)",
      milliseconds,
    )
    .option("--max-sockets <count>", "WebSockets that may be open at once (default: 20000)", count)
    .option("--detach", "start it in the background, and return when it is ready")
    .option("--json", "print one line of JSON when it is ready")
    .action((flags: StartFlags) => start(flags));

  cli
    .command("status")
    .description("say whether it runs, and where; the exit code is 1 when it does not")
    .addOption(stateOption())
    .option("--json", "as one line of JSON")
    .option("--show-key", "with the API key")
    .action(status);

  cli
    .command("stop")
    .description("stop it; machines keep running and are found again at the next start")
    .addOption(stateOption())
    .action(stop);

  cli
    .command("logs")
    .description("show its log")
    .addOption(stateOption())
    .option("-f, --follow", "go on with what comes")
    .option("-n, --lines <count>", "how many lines of the past", count, 100)
    .option("--json", "the lines as they are in the file")
    .action(logs);

  cli
    .command("faults")
    .description("rehearse failures with a fault script (docs/faults.md); without one, show what is in force")
    .argument("[file]", "fault script, which replaces the one in force", faultsFile)
    .option("--clear", "no more faults")
    .addOption(stateOption())
    .action(faults);

  cli.command("run-detached", { hidden: true }).action(runDetached);
  return cli;
}

/** Runs the command line. Errors that a user can cause are one message and exit code 1. */
export function main(argv: readonly string[]): void {
  program()
    .parseAsync(argv)
    .catch((error: unknown) => {
      process.stderr.write(`machines-local: ${error instanceof Error ? error.message : String(error)}\n`);
      process.exitCode = 1;
    });
}
