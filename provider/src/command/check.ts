/** Checks what a program asks of a Command. Pure; runs in every preview. */
import { checkArgs, type Checked } from "../check-args";
import { commandArgs } from "./args";
import { isSecretArgument } from "./mask";
import { secretMarks } from "./state";

export function checkCommand(news: Record<string, unknown>): Checked {
  const args = Object.fromEntries(Object.entries(news).filter(([name]) => !secretMarks.includes(name)));
  const marks = Object.fromEntries(
    secretMarks.filter((name) => news[name] !== undefined).map((name) => [name, news[name]]),
  );
  const { inputs, failures } = checkArgs(commandArgs, args, {
    noun: "a Command",
    unrecorded: ["logging", "timeouts"],
  });
  // Pulumi prints the value of the property next to the reason, also that of a secret.
  const safe = failures.map((failure) =>
    isSecretArgument(news, failure.property)
      ? { property: "machineId", reason: `the argument ${failure.property}: ${failure.reason}` }
      : failure,
  );
  return { inputs: { ...inputs, ...marks }, failures: safe };
}
