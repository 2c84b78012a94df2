/**
 * Finds or makes the webhook of a resource, exactly one. A resource has had webhooks 0, 1, 2, ...; the first that is neither
 * gone nor held by the state already is ours: made now, or by a create that was interrupted, see trace.ts. A create is never
 * sent again while nobody knows what came of the first one. Without the journal, on another computer, an interrupted
 * create cannot be told from somebody else's webhook: then a new one is made, and those that are like it are named.
 */
import type { Context } from "../context";
import { RefusedError } from "../controlplane/port";
import type { WebhookPort, WebhookSpec, WebhookView } from "../controlplane/webhook-port";
import { spanOf } from "../history";
import type { ResourceIdentity } from "../identity";
import type { JournalEntry } from "../journal";
import { pauseAfter } from "../patience";
import { whatCame } from "./outcome";
import { askedHash, claim, journalOwner, listAll, madeBy, webhookKey, withoutOwner } from "./trace";
import { inTurn } from "./turns";

export interface FoundWebhook {
  view: WebhookView;
  key: string;
  generation: number;
  /** Made by a create that was interrupted: it may have been asked for differently, and its secret is not known. */
  wasLeft: boolean;
}

/** How long an answer's loss is looked after, before it is said that nobody knows. */
const looksAfterMs = [0, 1_000, 2_000, 4_000];

/** The answer never came, and no webhook either so far. */
export class NothingKnownError extends Error {
  override readonly name = "NothingKnownError";
}

/** Of webhooks that are asked for with the same words one is made after the other, so that each knows its own. */
export const findOrMake = (
  context: Context,
  webhooks: WebhookPort,
  identity: ResourceIdentity,
  spec: WebhookSpec,
): Promise<FoundWebhook> => inTurn(askedHash(spec), () => find(context, webhooks, identity, spec));

async function find(
  context: Context,
  webhooks: WebhookPort,
  identity: ResourceIdentity,
  spec: WebhookSpec,
): Promise<FoundWebhook> {
  const { journal, seen, signal } = context;
  const first = (seen.generations.get(identity.urn) ?? -1) + 1;
  for (let generation = first; ; generation += 1) {
    signal.throwIfAborted();
    const key = webhookKey(identity, generation);
    const known = await journal.find(key);
    if (known?.gone || known?.recorded) continue;
    if (known?.webhookId !== undefined && seen.ids.has(known.webhookId)) continue;
    const left = known && (await madeBy(context, webhooks, known));
    if (!left && known?.webhookId !== undefined) {
      await journal.write({ key, gone: true });
      continue;
    }
    if (left) context.log(`found again: ${left.id}, of a create that was interrupted`);
    const view = left ?? (await makeNew(context, webhooks, { identity, key, isFirst: !known }, spec));
    await claim(context, key, view.id);
    return { view, key, generation, wasLeft: left !== undefined };
  }
}

async function makeNew(
  context: Context,
  webhooks: WebhookPort,
  { identity, key, isFirst }: { identity: ResourceIdentity; key: string; isFirst: boolean },
  spec: WebhookSpec,
): Promise<WebhookView> {
  const there = await listAll(context, webhooks);
  const entry: JournalEntry = {
    key,
    urn: identity.urn,
    stackIdentity: journalOwner(identity.stackIdentity),
    asked: askedHash(spec),
    before: there.map(({ id }) => id),
  };
  await context.journal.write(entry);
  if (isFirst) await nameTwins(context, there, entry);
  return send(context, webhooks, entry, spec);
}

/** Repeats a create only when the service has refused it, and lists nothing that came of it. */
async function send(
  context: Context,
  webhooks: WebhookPort,
  entry: JournalEntry,
  spec: WebhookSpec,
): Promise<WebhookView> {
  for (let refusals = 0; ; refusals += 1) {
    try {
      return await webhooks.create(spec, { signal: context.signal });
    } catch (error) {
      if (!(error instanceof RefusedError) || context.signal.aborted) throw error;
      const came = whatCame(error);
      if (came !== "nothing") {
        const view = await lookFor(context, webhooks, entry, came === "unknown" ? looksAfterMs : [0]);
        if (view) return view;
        if (came === "unknown") throw new NothingKnownError(error.message, { cause: error });
      }
      const pause = pauseAfter(error, refusals, context);
      if (pause === undefined) {
        // Nothing came of it: what is made from now on is somebody else's.
        await context.journal.write({ key: entry.key, asked: "" });
        throw error;
      }
      context.log(`${error.message}; trying again in ${spanOf(pause)}`);
      await context.clock.sleep(pause, context.signal);
    }
  }
}

async function lookFor(
  context: Context,
  webhooks: WebhookPort,
  entry: JournalEntry,
  pausesMs: readonly number[],
): Promise<WebhookView | undefined> {
  for (const pauseMs of pausesMs) {
    await context.clock.sleep(pauseMs, context.signal);
    context.signal.throwIfAborted();
    const view = await madeBy(context, webhooks, entry);
    if (view) return view;
  }
  return undefined;
}

/** Only to say it: an interrupted deploy from another computer may have left them, or they are somebody's. */
async function nameTwins(
  context: Context,
  there: readonly WebhookView[],
  { key, asked }: JournalEntry,
): Promise<void> {
  const alike = there.filter((view) => askedHash(view) === asked);
  const twins = await withoutOwner(context, alike, key);
  if (twins.length === 0) return;
  context.warn(
    `webhook "${context.name}": the service has others with the same URL and operations (${twins.map(({ id }) => id).join(", ")}), ` +
      `so that events are told more than once. If a deploy that was interrupted on another computer left them, delete them`,
  );
}
