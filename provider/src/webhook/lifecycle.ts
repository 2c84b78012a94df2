/** What Pulumi asks of a webhook, without Pulumi's types. */
import type { Context } from "../context";
import { WebhookGoneError, type WebhookPort, type WebhookSpec } from "../controlplane/webhook-port";
import { InitFailure } from "../init-failure";
import { patiently } from "../patience";
import type { Properties, ResourceCore } from "../shell";
import { allowedMsOf } from "../timeouts";
import { timeouts, webhookArgs } from "./args";
import { adopt } from "./adopt";
import { checkWebhook } from "./check";
import { diffWebhook } from "./diff";
import { findOrMake, type FoundWebhook } from "./make";
import { driftOf, inputsIn, originOf, stateOf } from "./state";
import { failureText } from "./words";

/** @throws InitFailure once the webhook exists and is not what was asked for; a plain Error while there is none. */
async function create(context: Context, news: Properties): Promise<{ id: string; outs: Properties }> {
  const { __stackIdentity: stackIdentity, __urn: urn, secret } = news;
  if (typeof stackIdentity !== "string" || typeof urn !== "string") {
    throw new Error(
      `webhook "${context.name}" was not made: its resource was not made by the class Webhook of pulumi-machines, so that ` +
        `nothing says which webhook is its own`,
    );
  }
  const webhooks = portOf(context);
  const spec = specOf(news);
  let found: FoundWebhook;
  try {
    found =
      typeof news.adopt === "string"
        ? await adopt(context, webhooks, { stackIdentity, urn }, news.adopt)
        : await findOrMake(context, webhooks, { stackIdentity, urn }, spec);
  } catch (error) {
    throw new Error(failureText(context, { operation: "create", secret }, error), { cause: error });
  }
  const { view, key, generation, wasLeft } = found;
  const origin = { key, generation };
  const { id } = view;
  if (!wasLeft) return { id, outs: stateOf(view, news, origin) };
  try {
    const mended = await patiently(context, () => webhooks.update(id, spec, { signal: context.signal }));
    return { id, outs: stateOf(mended, news, origin) };
  } catch (error) {
    throw new InitFailure(
      id,
      stateOf(view, news, origin),
      [
        failureText(context, { operation: "update", id, secret }, error),
        `it was there before this create; next: "pulumi up" tries again`,
      ],
      { cause: error },
    );
  }
}

const specOf = (properties: Properties): WebhookSpec => {
  const names = Object.keys(webhookArgs.shape);
  const { url, operations, secret, enabled } = webhookArgs.parse(
    Object.fromEntries(Object.entries(properties).filter(([name]) => names.includes(name))),
  );
  return { url, operations, secret, enabled };
};

function portOf({ controlPlane }: Context): WebhookPort {
  if (controlPlane.webhooks) return controlPlane.webhooks;
  throw new Error(`the backend "${controlPlane.backend}" has no webhooks`);
}

async function read(
  context: Context,
  id: string,
  state: Properties,
): Promise<{ props: Properties; inputs?: Properties } | undefined> {
  const origin = originOf(state);
  try {
    const view = await patiently(context, () => portOf(context).get(id, { signal: context.signal }));
    if (origin) await context.journal.write({ key: origin.key, webhookId: id, recorded: true });
    const props = stateOf(view, state, origin);
    const drifted = driftOf(state, props);
    if (drifted.length === 0) return { props };
    context.warn(
      `webhook "${context.name}" (${id}) was changed outside of Pulumi: ${drifted.join(", ")}; "pulumi up" changes it back`,
    );
    return { props, inputs: inputsIn(props) };
  } catch (error) {
    if (error instanceof WebhookGoneError) return undefined;
    throw error;
  }
}

/** Sends all of it, also what did not change: nobody can see whether the secret is still the same. */
async function update(context: Context, id: string, olds: Properties, news: Properties): Promise<Properties> {
  try {
    const { signal } = context;
    const view = await patiently(context, () => portOf(context).update(id, specOf(news), { signal }));
    return stateOf(view, news, originOf(olds));
  } catch (error) {
    throw new Error(failureText(context, { operation: "update", id, secret: news.secret }, error), {
      cause: error,
    });
  }
}

async function remove(context: Context, id: string, state: Properties): Promise<void> {
  const claim = context.seen.claims.get(id);
  if (claim !== undefined && claim !== originOf(state)?.key) {
    return context.log(`kept: another resource of this program has taken ${id} over`);
  }
  try {
    await patiently(context, () => portOf(context).delete(id, { signal: context.signal }));
  } catch (error) {
    const failed = { operation: "delete", id, secret: state.secret } as const;
    throw new Error(`${failureText(context, failed, error)}. It stays in the stack`, { cause: error });
  }
  const origin = originOf(state);
  if (origin) await context.journal.write({ key: origin.key, gone: true });
}

export const core: ResourceCore = {
  noun: "webhook",
  check: (_olds, news, world) => checkWebhook(news, world),
  diff: diffWebhook,
  create,
  read,
  update,
  remove,
  allowedMs: (properties, operation) => allowedMsOf(timeouts, properties, operation),
};
