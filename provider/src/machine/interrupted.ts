/**
 * The machines of creates that were interrupted and that no later deploy took up: destroying their stack destroys them,
 * too. Only those that this computer knows of (its create journal).
 */
import type { Context } from "../context";
import { awaitGone } from "./await-gone";
import { findTagged } from "./find-machine";

export async function removeInterrupted(context: Context, stackIdentity: string): Promise<void> {
  const { journal, controlPlane, signal } = context;
  for (const { key, urn, body, machineId } of await journal.interrupted(stackIdentity)) {
    const name = urn?.slice(urn.lastIndexOf("::") + 2) ?? "unnamed";
    let id = machineId;
    if (id === undefined && controlPlane.capabilities.metadata) {
      id = (await findTagged(context, key))?.id;
    } else if (id === undefined && body) {
      // The answer never came. The same key answers with the machine if there is one; if not, it is made and goes again.
      id = (await controlPlane.createMachine(body, { idempotencyKey: key, signal })).id;
      await journal.write({ key, machineId: id });
    }
    if (id === undefined) {
      await journal.write({ key, gone: true });
      continue;
    }
    context.warn(
      `machine "${name}" (${id}), left by a create that was interrupted, is destroyed with the stack`,
    );
    await awaitGone({ ...context, name }, id);
    await journal.write({ key, gone: true });
  }
}
