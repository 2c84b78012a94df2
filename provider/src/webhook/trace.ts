/**
 * What tells an interrupted create's webhook from all others. The API has no idempotency keys, and a webhook has room for
 * nothing of ours, so the create journal notes before the call which webhooks were there and, as a hash, what is asked for.
 * One that is there afterwards, is none of those, was asked for with these words and belongs to no other create, is ours.
 */
import { createHash } from "node:crypto";
import type { Context } from "../context";
import {
  WebhookGoneError,
  type WebhookPort,
  type WebhookSpec,
  type WebhookView,
} from "../controlplane/webhook-port";
import type { ResourceIdentity } from "../identity";
import type { JournalEntry } from "../journal";
import { patiently } from "../patience";
import { inOrder } from "./changes";

const sha256 = (parts: unknown): string => createHash("sha256").update(JSON.stringify(parts)).digest("hex");

/** The journal's key of the create of generation `generation` of a resource; stable for ever. */
export const webhookKey = ({ stackIdentity, urn }: ResourceIdentity, generation: number): string =>
  `pw1-${sha256([stackIdentity, urn, generation])}`;

/** In the create journal, which lists by the stack's identity: webhooks are not to be taken for machines. */
export const journalOwner = (stackIdentity: string): string => `webhooks:${stackIdentity}`;

/** The journal's entry that says which create a webhook came of: its `claim`. */
const originKey = (webhookId: string): string => `webhook ${webhookId}`;

/** A URL may hold a secret: on the disk there is only its hash. */
export function askedHash({ url, operations }: Pick<WebhookSpec, "url" | "operations">): string {
  return sha256([URL.canParse(url) ? new URL(url).href : url, inOrder(operations)]);
}

/** Notes which create a webhook came of. */
export async function claim({ journal }: Context, key: string, webhookId: string): Promise<void> {
  await journal.write({ key: originKey(webhookId), claim: key });
  await journal.write({ key, webhookId });
}

export async function listAll(context: Context, webhooks: WebhookPort): Promise<WebhookView[]> {
  return patiently(context, async () => {
    const found: WebhookView[] = [];
    for await (const view of webhooks.list({ signal: context.signal })) found.push(view);
    return found;
  });
}

/** The webhook that the create of this entry has made, when there is one. */
export async function madeBy(
  context: Context,
  webhooks: WebhookPort,
  { key, webhookId, asked, before }: JournalEntry,
): Promise<WebhookView | undefined> {
  if (webhookId !== undefined) return getIfThere(context, webhooks, webhookId);
  if (asked === undefined || before === undefined) return undefined;
  const strangers = await withoutOwner(context, await listAll(context, webhooks), key);
  return strangers
    .filter((view) => !before.includes(view.id) && askedHash(view) === asked)
    .sort((one, other) => (one.createdAt < other.createdAt ? -1 : 1))[0];
}

/** Those that neither the state nor another create is known to hold. */
export async function withoutOwner(
  { journal, seen }: Context,
  views: readonly WebhookView[],
  ownKey: string,
): Promise<WebhookView[]> {
  const unseen = views.filter(({ id }) => !seen.ids.has(id));
  const owners = await Promise.all(unseen.map(({ id }) => journal.find(originKey(id))));
  return unseen.filter((_view, n) => owners[n] === undefined || owners[n]?.claim === ownKey);
}

async function getIfThere(
  context: Context,
  webhooks: WebhookPort,
  id: string,
): Promise<WebhookView | undefined> {
  try {
    return await patiently(context, () => webhooks.get(id, { signal: context.signal }));
  } catch (error) {
    if (error instanceof WebhookGoneError) return undefined;
    throw error;
  }
}
