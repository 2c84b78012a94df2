/** Checks what a program asks of a File. Pure; runs in every preview. */
import { checkArgs, type Checked } from "../check-args";
import { isUnknown } from "../hidden";
import { fileArgs } from "./args";

/** `hash` is not an argument: the class computes it, under the name of the output, so that it is as secret as the content. */
export function checkFile(news: Record<string, unknown>): Checked {
  const { hash, ...rest } = news;
  const { inputs, failures } = checkArgs(fileArgs, rest, { noun: "a File", unrecorded: ["timeouts"] });
  const { content, mode } = inputs;
  const isArchive =
    typeof content === "object" && !isUnknown(content) && (content as { kind?: string }).kind === "archive";
  if (isArchive && mode !== undefined) {
    failures.push({ property: "mode", reason: "is of one file: the files of an archive keep their own" });
  }
  // Pulumi prints the value next to the reason, and a content may be secret.
  const safe = failures.map((failure) =>
    failure.property === "content"
      ? {
          property: "path",
          reason: `the content: must be a text, an asset or an archive (${failure.reason})`,
        }
      : failure,
  );
  return { inputs: hash === undefined ? inputs : { ...inputs, hash }, failures: safe };
}
