/** Events, webhooks and snapshots over the Nullspace API. */
import { NullspaceControlPlane } from "../../../provider/src/controlplane/nullspace";
import type { EventFilter } from "../../../provider/src/controlplane/event-port";
import { KeyReusedError, MachineGoneError, RefusedError } from "../../../provider/src/controlplane/port";
import { SnapshotGoneError, SnapshotInUseError } from "../../../provider/src/controlplane/snapshot-port";
import { WebhookGoneError } from "../../../provider/src/controlplane/webhook-port";
import { eventually } from "../../e2e/support/run";
import { Receiver } from "../webhook/receiver";
import { all, keyed, never, running, startEmbedded } from "./embedded";

jest.setTimeout(60_000);
const options = { signal: never };
const size = { vcpu: 1, memoryMiB: 256, storageGiB: 1 };
let local: Awaited<ReturnType<typeof startEmbedded>>;
let plane: NullspaceControlPlane;

beforeAll(async () => {
  local = await startEmbedded("null");
  plane = new NullspaceControlPlane({ backend: "nullspace", baseUrl: local.nullspace, apiKey: local.apiKey });
});
afterAll(async () => {
  await plane.close();
  await local.close();
});

describe("events", () => {
  let source: string;
  let copy: string;
  let snapshot: string;
  const events = (filter: EventFilter) => all(plane.events.list(filter, options));
  const said = async (filter: EventFilter): Promise<string[]> =>
    (await events(filter)).map(({ operation, status }) => `${operation} ${status}`);

  beforeAll(async () => {
    source = await running(plane, size);
    snapshot = (await plane.snapshots.create(source, {}, keyed())).id;
    copy = (await plane.createMachine({ from: { machine: source } }, keyed())).id;
    await plane.sleepMachine(source, keyed());
    await plane.wakeMachine(source, keyed());
    for (let lease = 0; lease < 105; lease += 1)
      await plane.updateMachine(copy, { lifetime: { timeout: `${String(lease + 1)}h` } }, keyed());
  });

  test("of a machine are those that it takes part in, newest first unless asked otherwise", async () => {
    const machineId = source;
    const oldest = await said({ machineId, order: "asc" });
    expect(oldest.slice(0, 3)).toEqual([
      "create requested",
      "create succeeded",
      "snapshot_created requested",
    ]);
    expect(oldest).toContain("fork succeeded");
    expect(oldest.at(-1)).toBe("resume_from_snapshot succeeded");
    expect(await said({ machineId })).toEqual(oldest.toReversed());
    expect(await said({ machineId, order: "desc", limit: 1 })).toEqual(["resume_from_snapshot succeeded"]);
  });

  test("come as many as were asked for, over all pages", async () => {
    const ids = (await events({ machineId: copy })).map(({ id }) => id);
    expect(ids.length).toBeGreaterThan(100);
    expect(new Set(ids).size).toBe(ids.length);
    for (const limit of [0, 1, 99, 100, 101]) {
      expect((await events({ machineId: copy, limit })).map(({ id }) => id)).toEqual(ids.slice(0, limit));
    }
  });

  test("are found by each of their members, and by several", async () => {
    expect(await said({ machineId: source, operation: "hibernate" })).toEqual([
      "hibernate succeeded",
      "hibernate requested",
    ]);
    expect(await said({ machineId: source, operation: "create", status: "succeeded" })).toEqual([
      "create succeeded",
    ]);
    expect(await said({ snapshotId: snapshot, order: "asc" })).toContain("snapshot_created succeeded");
    expect(await said({ sourceMachineId: source, targetMachineId: copy })).toContain("fork succeeded");
    expect(await said({ machineId: copy, sourceMachineId: source, status: "succeeded" })).toEqual([
      "fork succeeded",
    ]);
    const fork = (await events({ sourceMachineId: source, operation: "fork", status: "succeeded" })).at(0);
    expect(fork).toMatchObject({ machineId: copy, sourceMachineId: source, targetMachineId: copy });
    await expect(said({ machineId: "mch_none" })).rejects.toThrow(MachineGoneError);
  });

  test("are found by their time, from it on and until before it", async () => {
    const [first, second] = await events({ machineId: source, order: "asc", limit: 20 });
    const [from, to] = [first?.occurredAt ?? "", second?.occurredAt ?? ""];
    expect((await events({ machineId: source, from: to, order: "asc" })).map(({ id }) => id)).toContain(
      second?.id,
    );
    const before = await events({ machineId: source, from, to });
    expect(before.map(({ id }) => id)).toEqual(from === to ? [] : [first?.id]);
    expect(await events({ machineId: source, to: from })).toEqual([]);
  });

  test("of a machine that is gone are still there", async () => {
    const id = await running(plane, size);
    await plane.deleteMachine(id, keyed());
    expect(await said({ machineId: id, operation: "destroy", status: "succeeded" })).toEqual([
      "destroy succeeded",
    ]);
  });

  test("that are asked for in words that the service does not know are refused", async () => {
    await expect(events({ operation: "explode" })).rejects.toMatchObject({ name: RefusedError.name });
    await expect(events({ from: "yesterday" })).rejects.toMatchObject({ name: RefusedError.name });
  });
});

describe("webhooks", () => {
  test("are made, read, changed, listed, told and deleted", async () => {
    const receiver = new Receiver();
    const url = await receiver.open();
    const spec = { url, operations: ["create"], secret: "s3cret-s3cret-s3cret", enabled: true };
    const made = await plane.webhooks.create(spec, options);
    expect(made).toMatchObject({ url, operations: ["create"], enabled: true, hasSecret: true });
    expect(JSON.stringify(made)).not.toContain("s3cret");
    expect(await plane.webhooks.get(made.id, options)).toEqual(made);
    expect((await all(plane.webhooks.list(options))).map(({ id }) => id)).toEqual([made.id]);
    for (let number = 0; number < 3; number += 1) await running(plane, size);
    const deliveries = await eventually("three deliveries of two events", async () => {
      const found = await all(plane.webhooks.deliveries(made.id, options));
      return found.filter(({ deliveryStatus }) => deliveryStatus === "succeeded").length === 6
        ? found
        : undefined;
    });
    expect(deliveries[0]).toMatchObject({
      ...{ webhookId: made.id, operation: "create", attemptCount: 1, lastResponseStatus: 204 },
    });
    const times = deliveries.map(({ createdAt }) => createdAt);
    expect(times).toEqual(times.toSorted().toReversed());
    expect(receiver.got).toHaveLength(6);
    const changed = await plane.webhooks.update(
      made.id,
      { enabled: false, operations: ["destroy"] },
      options,
    );
    expect(changed).toMatchObject({ url, operations: ["destroy"], enabled: false, hasSecret: true });
    expect(await plane.webhooks.get(made.id, options)).toMatchObject({ lastDeliveryStatus: "succeeded" });
    await plane.webhooks.delete(made.id, options);
    await plane.webhooks.delete(made.id, options);
    const gone = [
      () => plane.webhooks.get(made.id, options),
      () => plane.webhooks.update(made.id, { enabled: true }, options),
      () => all(plane.webhooks.deliveries(made.id, options)),
    ];
    for (const call of gone) await expect(call()).rejects.toThrow(WebhookGoneError);
    await receiver.close();
  });

  test("that the service refuses say why, without the secret", async () => {
    const spec = { url: "ftp://x", operations: ["create"], secret: "s3cret-s3cret-s3cret", enabled: true };
    const refused: unknown = await plane.webhooks.create(spec, options).catch((error: unknown) => error);
    expect(refused).toMatchObject({ name: RefusedError.name });
    expect(String(refused)).toMatch(/url/);
    expect(String(refused)).not.toContain("s3cret");
  });
});

describe("snapshots", () => {
  test("with the same key are the same one; with another machine, the key was used", async () => {
    const id = await running(plane, size);
    const other = await running(plane, size);
    const first = await plane.snapshots.create(id, {}, keyed("snapshot-key"));
    expect(await plane.snapshots.create(id, {}, keyed("snapshot-key"))).toEqual(first);
    await expect(plane.snapshots.create(other, {}, keyed("snapshot-key"))).rejects.toThrow(KeyReusedError);
    expect(await plane.snapshots.get(first.id, options)).toEqual(first);
    expect(first).toMatchObject({ machineId: id, metadata: {} });
    expect((await all(plane.snapshots.list({ machineId: other }, options))).map((each) => each.id)).toEqual(
      [],
    );
    expect((await all(plane.snapshots.list({}, options))).map((each) => each.id)).toContain(first.id);
  });

  test("that are gone are gone; what a machine sleeps on is in use", async () => {
    await expect(plane.snapshots.get("snap_none", options)).rejects.toThrow(SnapshotGoneError);
    await plane.snapshots.delete("snap_none", options);
    const id = await running(plane, size);
    await plane.sleepMachine(id, keyed());
    const [asleep] = await all(plane.snapshots.list({ machineId: id }, options));
    await expect(plane.snapshots.delete(asleep?.id ?? "", options)).rejects.toThrow(SnapshotInUseError);
    await expect(plane.createMachine({ from: { snapshot: "snap_none" } }, keyed())).rejects.toThrow(
      SnapshotGoneError,
    );
  });
});
