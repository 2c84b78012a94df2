/**
 * Webhooks of creates that were interrupted and that no later deploy took up: they go with the stack. Only those that this
 * computer knows of (its create journal).
 */
import type { Context } from "../context";
import { messageOf } from "../failure-report";
import { oneLine } from "../one-line";
import { patiently } from "../patience";
import { nameOf } from "../urn";
import { journalOwner, madeBy } from "./trace";

export async function removeInterruptedWebhooks(context: Context, stackIdentity: string): Promise<void> {
  const { controlPlane, journal, signal } = context;
  const { webhooks } = controlPlane;
  if (!webhooks) return;
  for (const entry of await journal.interrupted(journalOwner(stackIdentity))) {
    const { key, urn = "" } = entry;
    try {
      const left = await madeBy(context, webhooks, entry);
      if (left && !context.seen.ids.has(left.id)) {
        context.log(`deleting ${left.id}, which an interrupted create of "${nameOf(urn)}" has left`);
        await patiently(context, () => webhooks.delete(left.id, { signal }));
      }
      await journal.write({ key, gone: true });
    } catch (error) {
      context.warn(
        `an interrupted create of the webhook "${nameOf(urn)}" may have left one behind: ${oneLine(messageOf(error))}`,
      );
    }
  }
}
