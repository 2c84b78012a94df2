/** Taking over a webhook that exists, instead of making one. */
import type { Context } from "../context";
import { WebhookGoneError, type WebhookPort } from "../controlplane/webhook-port";
import type { ResourceIdentity } from "../identity";
import { patiently } from "../patience";
import type { FoundWebhook } from "./make";
import { webhookKey } from "./trace";

/** Whatever it was told before, the create brings it to what the program asks for. @throws Error when there is none */
export async function adopt(
  context: Context,
  webhooks: WebhookPort,
  identity: ResourceIdentity,
  id: string,
): Promise<FoundWebhook> {
  const { seen, signal } = context;
  const view = await patiently(context, () => webhooks.get(id, { signal })).catch((error: unknown) => {
    if (!(error instanceof WebhookGoneError)) throw error;
    throw new Error(`adopt names no webhook of the backend "${context.controlPlane.backend}": "${id}"`, {
      cause: error,
    });
  });
  if (seen.claims.has(id)) {
    throw new Error(`adopt names ${id}, which another resource of this program has taken over already`);
  }
  const generation = (seen.generations.get(identity.urn) ?? -1) + 1;
  const key = webhookKey(identity, generation);
  seen.claims.set(id, key);
  context.log(`taken over: ${id}`);
  return { view, key, generation, wasLeft: true };
}
