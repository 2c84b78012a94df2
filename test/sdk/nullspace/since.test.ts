/** One event has one id everywhere: whoever saw it last, `since` goes on after it. */
import type { Local } from "../../../local/src/start-local";
import { NullspaceClient } from "../../../sdk/src/nullspace/client";
import { startTestLocal } from "../../local/dedalus/control-plane";
import { all } from "./client-to";

let local: Local;
let client: NullspaceClient;
beforeAll(async () => {
  local = await startTestLocal();
  client = new NullspaceClient({ apiKey: local.apiKey, baseUrl: local.nullspace });
});
afterAll(async () => {
  await client.close();
  await local.close();
});

test("from any event of the history, the stream brings the rest and then what happens", async () => {
  const { id } = await client.machines.create({ timeoutMs: 3_600_000 });
  await client.machines.hibernate(id);
  const history = await all(client.lifecycle.list({ order: "asc" }));
  for (const [index, event] of history.entries()) {
    const rest = history.slice(index + 1).map((each) => each.id);
    const { id: later } = await client.machines.create({ timeoutMs: 3_600_000 });
    const seen: string[] = [];
    for await (const each of client.lifecycle.since(event.id)) {
      seen.push(each.id);
      if (each.machineId === later && each.status === "succeeded") break;
    }
    expect(seen.slice(0, rest.length)).toEqual(rest);
    const listed = await all(client.lifecycle.listAfter(event.id));
    expect(listed.map((each) => each.id)).toEqual(seen);
  }
});
