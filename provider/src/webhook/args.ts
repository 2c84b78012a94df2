/** The arguments of a Webhook: the one source of the check, of the TypeScript types and of the generated reference. */
import { lifecycleOperations } from "@pulumi-machines/sdk/nullspace/rules";
import { z } from "zod";
import { timeoutsOf } from "../timeouts";
import { urlProblem } from "./url";

export const timeouts = timeoutsOf({ create: "5m", update: "5m", delete: "5m" });

const longestUrl = 2_048;
const longestSecret = 1_024;

export const webhookArgs = z.strictObject({
  /** Where the events are sent. */
  url: z
    .string({ error: "must be a URL, such as https://example.com/hook" })
    .max(longestUrl, { error: `must have at most ${String(longestUrl)} characters` })
    .superRefine((text, issues) => {
      const message = urlProblem(text);
      if (message !== undefined) issues.addIssue({ code: "custom", message });
    })
    .describe(
      "Where the events are sent: `https:`, without credentials. `http:` only to the loopback of the embedded control plane, " +
        "when it was started with `--allow-http-webhooks`.",
    ),
  /** Which operations are told; at least one. */
  operations: z
    .array(
      z.enum(lifecycleOperations, { error: `is no operation; known are ${lifecycleOperations.join(", ")}` }),
      { error: "must be a list of lifecycle operations" },
    )
    .min(1, { error: `must hold at least one of ${lifecycleOperations.join(", ")}` })
    .describe("The lifecycle operations that are told, at least one; their order says nothing."),
  /** Signs every delivery; a secret of the state, also when the program gives it in plain text. */
  secret: z
    .string({ error: "must be a text" })
    .min(1, { error: "must not be empty" })
    .max(longestSecret, { error: `must have at most ${String(longestSecret)} characters` })
    .describe(
      "Signs every delivery (HMAC-SHA256); always a secret of the stack. The service never answers it, so that a change of it " +
        "outside of Pulumi cannot be seen; any update sends it again.",
    ),
  /** Default true. */
  enabled: z
    .boolean({ error: "must be true or false" })
    .default(true)
    .describe("False: events are not sent, and not kept for later."),
  /** Takes an existing webhook over, by its id, instead of making one. May be removed afterwards. */
  adopt: z
    .string()
    .min(1, { error: "must be the id of a webhook" })
    .optional()
    .describe(
      "Id of an existing webhook that is taken over, and changed to these arguments, instead of making one. It can be removed from " +
        "the program afterwards.",
    ),
  /** How long an operation may take, as durations such as "10m"; at most 2h. Default 5m each. */
  timeouts,
});

/** The arguments after the check: defaults filled in. */
export type WebhookInputs = z.output<typeof webhookArgs>;
