/** Checks what a program asks of a Webhook, and of the backend. Pure; runs in every preview. */
import { checkArgs, notThere, type Checked, type CheckFailure, type CheckWorld } from "../check-args";
import { capabilities } from "../controlplane/capabilities";
import { webhookArgs } from "./args";

export function checkWebhook(news: Record<string, unknown>, { backend }: CheckWorld): Checked {
  const { inputs, failures } = checkArgs(webhookArgs, news, {
    noun: "a Webhook",
    unrecorded: ["timeouts"],
  });
  const missing =
    backend !== undefined && !capabilities[backend].webhooks
      ? [notThere("operations", backend, "has no webhooks: it cannot have a Webhook")]
      : [];
  return { inputs, failures: [...failures.map(withoutValue), ...missing] };
}

/** Pulumi prints the value of the property that a failure names: the secret is one, and a URL can hold one. */
const withoutValue = ({ property, reason }: CheckFailure): CheckFailure =>
  property === "secret" || property === "url"
    ? { property: "", reason: `${property} ${reason}` }
    : { property, reason };
