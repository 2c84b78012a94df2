/** A lifecycle log of a given length, as a busy year leaves it, written straight into the store. */
import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";
import { join } from "node:path";
import { root } from "../../setup/node-modules.mjs";

const require = createRequire(import.meta.url);
const { openStore } = require(join(root, "local/dist/store/store.js"));

const operations = ["create", "hibernate", "resume_from_snapshot", "snapshot_created", "fork", "destroy"];
const statuses = ["requested", "succeeded", "succeeded", "failed"];
const rowsAtOnce = 500;
const rowsATransaction = 20_000;

export const machineOf = (number, machines) => `m${String(number % machines).padStart(8, "0")}`;

/** The log begins so long ago, an event a second. */
export const eventTime = (number, events, now = Date.now()) =>
  new Date(now - (events - number) * 1000).toISOString();

/** Fills an empty store, which it brings to the newest schema first. */
export async function fillLog(options, { events, machines }) {
  const db = await openStore(options);
  const now = Date.now();
  try {
    for (let begin = 1; begin <= events; begin += rowsATransaction) {
      await db.transaction().execute(async (tx) => {
        const end = Math.min(begin + rowsATransaction - 1, events);
        for (let at = begin; at <= end; at += rowsAtOnce) {
          const numbers = Array.from(
            { length: Math.min(rowsAtOnce, end - at + 1) },
            (_, index) => at + index,
          );
          await tx
            .insertInto("lifecycle_events")
            .values(
              numbers.map((seq) => ({
                ...{ seq, id: randomUUID(), occurred_at: eventTime(seq, events, now), actor_kind: "user" },
                operation: operations[seq % operations.length],
                status: statuses[seq % statuses.length],
                machine_id: machineOf(seq, machines),
                metadata: "{}",
              })),
            )
            .execute();
          await tx
            .insertInto("lifecycle_machines")
            .values(numbers.map((seq) => ({ seq, machine_id: machineOf(seq, machines) })))
            .execute();
        }
      });
    }
  } finally {
    await db.destroy();
  }
}
