/** What a person reads when something could not be done with a webhook. Its secret is in none of it. */
import { maskOf } from "../command/mask";
import type { Context } from "../context";
import { RefusedError } from "../controlplane/port";
import { WebhookGoneError } from "../controlplane/webhook-port";
import { messageOf } from "../failure-report";
import { spanOf } from "../history";
import { oneLine } from "../one-line";
import type { Operation } from "../timeouts";
import { NothingKnownError } from "./make";

const done = { create: "made", update: "changed", delete: "deleted" } as const;
/** What to do when the operation took too long. */
const afterwards = {
  create: `; if the service makes it still, the next "pulumi up" finds it`,
  update: `; the next "pulumi up" tries again`,
  delete: "",
} as const;

export interface Failed {
  operation: Operation;
  /** Undefined while there is none. */
  id?: string;
  /** A service may repeat what it was sent. */
  secret: unknown;
}

/** One line: the webhook by its name and id, what could not be done, and why. */
export function failureText(context: Context, { operation, id, secret }: Failed, error: unknown): string {
  const mask = maskOf(typeof secret === "string" ? [secret] : []);
  const requestId = error instanceof RefusedError ? error.requestId : undefined;
  const why = whyOf(context, operation, error);
  const request = requestId === undefined || why.includes(requestId) ? "" : ` (request id ${requestId})`;
  const which = id === undefined ? "" : ` (${id})`;
  return oneLine(mask(`webhook "${context.name}"${which} was not ${done[operation]}: ${why}${request}`));
}

function whyOf({ signal, allowedMs }: Context, operation: Operation, error: unknown): string {
  if (signal.aborted)
    return `not within ${spanOf(allowedMs)} (timeouts.${operation})${afterwards[operation]}`;
  if (error instanceof WebhookGoneError)
    return `it does not exist any more, it was deleted outside of Pulumi; "pulumi up --refresh" makes a new one`;
  if (error instanceof NothingKnownError)
    return `${error.message}. The service lists no webhook that came of it so far: "pulumi up" looks again, then makes one`;
  return messageOf(error);
}
