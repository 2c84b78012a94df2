/** The Nullspace adapter over a real control plane: with a status stream, and as the hosted service is, without one. */
import { NullspaceControlPlane } from "../../../provider/src/controlplane/nullspace";
import { longestLeaseMs } from "../../../provider/src/controlplane/nullspace-create";
import { KeyReusedError, MachineGoneError, type MachineView } from "../../../provider/src/controlplane/port";
import { NullspaceClient } from "@pulumi-machines/sdk";
import { eventually } from "../../e2e/support/run";
import { all, keyed, never, running, settled, startEmbedded } from "./embedded";
import { HostedProxy } from "./hosted-proxy";

jest.setTimeout(60_000);
const options = { signal: never };
const size = { vcpu: 1, memoryMiB: 256, storageGiB: 1 };

let local: Awaited<ReturnType<typeof startEmbedded>>;
let proxy: HostedProxy;
let plane: NullspaceControlPlane;
let client: NullspaceClient;
let keys = 0;
const tagged = () => ({
  ...size,
  tags: { "pulumi:key": `key-${String((keys += 1))}`, "pulumi:stack": "dev" },
});

beforeAll(async () => {
  local = await startEmbedded("null");
  client = new NullspaceClient({ baseUrl: local.nullspace, apiKey: local.apiKey });
});
afterAll(async () => {
  await client.close();
  await local.close();
});
afterEach(() => {
  local.faults.replace({ rules: [] });
});

const slowStart = (stallMs: number) =>
  local.faults.replace({ rules: [{ on: "start", after: 0, times: 1, stallMs }] });
const failStart = (retryable = false) =>
  local.faults.replace({
    rules: [
      {
        on: "start",
        after: 0,
        times: 1,
        fail: { reason: "image_missing", lastError: "no image", retryable },
      },
    ],
  });
const phasesOf = (views: readonly MachineView[]): string[] => views.map(({ phase }) => phase);

describe.each([{ service: "with a status stream" }, { service: "as it is hosted, without one" }])(
  "a service $service",
  ({ service }) => {
    const isHosted = service.startsWith("as it");
    beforeEach(async () => {
      proxy = await HostedProxy.before(local.nullspace);
      if (!isHosted) proxy.hidden = /^never$/;
      plane = new NullspaceControlPlane({ backend: "nullspace", baseUrl: proxy.url, apiKey: local.apiKey });
    });
    afterEach(async () => {
      await plane.close();
      await proxy[Symbol.asyncDispose]();
    });

    test("a create names its machine while the service is still at it", async () => {
      slowStart(1_500);
      const view = await plane.createMachine(tagged(), keyed());
      expect(view.phase).toBe("starting");
      const views = await all(plane.watchMachine(view.id, options));
      expect(views.at(-1)).toMatchObject({ id: view.id, phase: "running", desiredState: "running" });
    });

    test("a create without a key of ours answers when the machine is usable", async () => {
      expect(await plane.createMachine(size, keyed())).toMatchObject({
        phase: "running",
        vcpu: 1,
        memoryMiB: 256,
      });
    });

    test("the same key answers the same machine, and another request with it is told apart", async () => {
      const spec = tagged();
      const first = await plane.createMachine(spec, keyed(isHosted ? "same-hosted" : "same"));
      const again = await plane.createMachine(spec, keyed(isHosted ? "same-hosted" : "same"));
      expect(again.id).toBe(first.id);
      await expect(
        plane.createMachine({ ...spec, memoryMiB: 512 }, keyed(isHosted ? "same-hosted" : "same")),
      ).rejects.toThrow(KeyReusedError);
    });

    test("a machine that fails to start is answered, with the service's words, and is not lost", async () => {
      failStart();
      const { id } = await plane.createMachine(tagged(), keyed());
      const views = await all(plane.watchMachine(id, options));
      expect(views.at(-1)?.phase).toBe("failed");
      expect(await plane.getMachine(id, options)).toMatchObject({ phase: "failed", lastError: "no image" });
      failStart();
      expect(await plane.createMachine(size, keyed())).toMatchObject({
        phase: "failed",
        reason: "image_missing",
        lastError: "no image",
      });
      expect((await plane.wakeMachine(id, keyed())).phase).toBe("running");
    });

    test("a wake that fails answers the failed machine, with the words of that wake", async () => {
      const id = await running(plane, tagged());
      await plane.sleepMachine(id, keyed());
      failStart(true);
      expect(await plane.wakeMachine(id, keyed())).toMatchObject({
        phase: "failed",
        reason: "image_missing",
        lastError: "no image",
      });
      expect((await plane.describeMachine(id, options)).lastError).toBe("no image");
    });

    test("a machine that is gone is so for every call, and deleted", async () => {
      const id = await running(plane, tagged());
      expect(await plane.deleteMachine(id, keyed())).toMatchObject({ id, phase: "destroyed" });
      expect(await plane.deleteMachine(id, keyed())).toBeUndefined();
      const calls = [
        () => plane.getMachine(id, options),
        () => plane.describeMachine(id, options),
        () => plane.updateMachine(id, { lifetime: { timeout: "1h" } }, keyed()),
        () => plane.updateMachine(id, { network: { egress: { mode: "deny_all" } } }, keyed()),
        () => plane.sleepMachine(id, keyed()),
        () => plane.wakeMachine(id, keyed()),
        () => plane.createMachine({ from: { machine: id } }, keyed()),
        () => plane.snapshots.create(id, {}, keyed()),
      ];
      for (const call of calls)
        await expect(call()).rejects.toMatchObject({ name: "MachineGoneError", machineId: id });
    });

    test("sleep and wake answer when it is so, and where it is so already", async () => {
      const id = await running(plane, tagged());
      expect((await plane.sleepMachine(id, keyed())).phase).toBe("sleeping");
      expect((await plane.sleepMachine(id, keyed())).phase).toBe("sleeping");
      expect((await plane.wakeMachine(id, keyed())).phase).toBe("running");
      expect((await plane.wakeMachine(id, keyed())).phase).toBe("running");
    });

    test("a machine stays a year where the program says nothing, and sleeps by its autosleep", async () => {
      const id = await running(plane, { ...tagged(), autosleep: "15m" });
      const machine = await client.machines.get(id);
      expect(machine).toMatchObject({ timeoutMs: longestLeaseMs, timeoutAction: "hibernate" });
      expect(machine.inactivityTimeoutMs).toBe(900_000);
      expect(await plane.getMachine(id, options)).toMatchObject({ autosleepSeconds: 900 });
      await plane.updateMachine(id, { lifetime: { timeout: "2h", then: "destroy" } }, keyed());
      expect(await client.machines.get(id)).toMatchObject({ timeoutMs: 7_200_000, timeoutAction: "destroy" });
      expect((await plane.describeMachine(id, options)).lifetime).toMatchObject({
        timeout: "2h",
        then: "destroy",
      });
      await expect(plane.updateMachine(id, { vcpu: 2 }, keyed())).rejects.toThrow(/cannot change vcpu/);
    });

    test("what happens to a machine is seen: a sleep, and an end by somebody else", async () => {
      const id = await running(plane, tagged());
      await client.machines.hibernate(id);
      expect(phasesOf(await all(plane.watchMachine(id, options))).at(-1)).toBe("sleeping");
      slowStart(1_000);
      const waking = client.machines.resume(id);
      const seen: MachineView[] = [];
      await eventually("the wake", async () => {
        for await (const view of plane.watchMachine(id, options)) seen.push(view);
        return seen.at(-1)?.phase === "running" ? true : undefined;
      });
      await waking;
      slowStart(60_000);
      const { id: stuck } = await plane.createMachine(tagged(), keyed());
      const watched: MachineView[] = [];
      for await (const view of plane.watchMachine(stuck, options)) {
        if (watched.push(view) === 1) await client.machines.delete(stuck);
      }
      expect(watched.at(-1)).toMatchObject({ phase: "destroyed" });
      await expect(plane.getMachine(stuck, options)).rejects.toThrow(MachineGoneError);
      expect(await plane.deleteMachine(stuck, keyed())).toBeUndefined();
    });

    test("a watch of a machine that is not there says so", async () => {
      await expect(all(plane.watchMachine("mch_doesnotexist", options))).rejects.toThrow(MachineGoneError);
    });

    test("a connection that breaks while a machine starts loses nothing", async () => {
      slowStart(1_500);
      const { id } = await plane.createMachine(tagged(), keyed());
      const watched = all(plane.watchMachine(id, options));
      await eventually("a stream", async () =>
        isHosted
          ? proxy.open > 0
            ? true
            : undefined
          : proxy.asked.some((each) => each.endsWith("/status/stream")) || undefined,
      );
      proxy.cut();
      if (!isHosted) proxy.cutAll();
      expect((await watched).at(-1)?.phase).toBe("running");
    });

    test("copies: of a machine, and of a snapshot, with the lifetime that was asked for", async () => {
      const id = await running(plane, tagged());
      const fork = await plane.createMachine({ from: { machine: id }, lifetime: { timeout: "3h" } }, keyed());
      expect(await client.machines.get(fork.id)).toMatchObject({
        timeoutMs: 10_800_000,
        timeoutAction: "hibernate",
      });
      // Of its own, whatever its source has.
      await client.machines.setTimeout(id, { timeoutMs: 60_000, timeoutAction: "destroy" });
      const stays = await plane.createMachine({ from: { machine: id } }, keyed());
      expect(await client.machines.get(stays.id)).toMatchObject({
        timeoutMs: longestLeaseMs,
        timeoutAction: "hibernate",
      });
      const idle = { from: { machine: id }, lifetime: { inactivity: "5m" } };
      await expect(plane.createMachine(idle, keyed())).rejects.toThrow(/lifetime.inactivity of that machine/);
      const snapshot = await plane.snapshots.create(id, {}, keyed());
      const copy = await plane.createMachine(
        { from: { snapshot: snapshot.id }, tags: tagged().tags },
        keyed(),
      );
      await settled(plane, copy.id, "running");
      expect(await plane.describeMachine(copy.id, options)).toMatchObject({
        memoryMiB: 256,
        tags: { "pulumi:stack": "dev" },
      });
      expect((await all(plane.snapshots.list({ machineId: id }, options))).map((each) => each.id)).toContain(
        snapshot.id,
      );
      await plane.snapshots.delete(snapshot.id, options);
      await plane.snapshots.delete(snapshot.id, options);
    });

    test("machines are listed by metadata, tags, template and phase", async () => {
      const spec = { ...tagged(), metadata: { team: service } };
      const id = await running(plane, spec);
      const ids = async (filter: Parameters<typeof plane.listMachines>[0]) =>
        (await all(plane.listMachines(filter, options))).map((each) => each.id);
      expect(await ids({ metadata: { team: service } })).toEqual([id]);
      expect(await ids({ tags: spec.tags })).toEqual([id]);
      expect(await ids({ tags: spec.tags, template: "other" })).toEqual([]);
      expect(await ids({ tags: spec.tags, phases: ["sleeping"] })).toEqual([]);
      const events = await all(plane.events.list({ machineId: id, order: "asc", limit: 2 }, options));
      expect(events.map(({ operation, status }) => [operation, status])).toEqual([
        ["create", "requested"],
        ["create", "succeeded"],
      ]);
    });
  },
);

describe("many machines of a hosted service", () => {
  beforeEach(async () => {
    proxy = await HostedProxy.before(local.nullspace);
    plane = new NullspaceControlPlane({ backend: "nullspace", baseUrl: proxy.url, apiKey: local.apiKey });
  });
  afterEach(async () => {
    await plane.close();
    await proxy[Symbol.asyncDispose]();
  });

  test("are watched over one WebSocket, which goes when nobody waits", async () => {
    local.faults.replace({ rules: [{ on: "start", after: 0, stallMs: 500 }] });
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        const { id } = await plane.createMachine(tagged(), keyed());
        expect((await all(plane.watchMachine(id, options))).at(-1)?.phase).toBe("running");
      }),
    );
    expect(proxy.opened).toBe(1);
    await eventually("its end", async () => (proxy.open === 0 ? true : undefined));
  });

  test("are read again and again where the service keeps no history", async () => {
    proxy.missing = /\/v1\/lifecycle|\/lifecycle/;
    slowStart(500);
    const { id } = await plane.createMachine(tagged(), keyed());
    expect((await all(plane.watchMachine(id, options))).at(-1)?.phase).toBe("running");
  });
});

describe("what goes wrong before a machine", () => {
  test("a key that is refused is said in the terms of a project", async () => {
    const wrong = new NullspaceControlPlane({
      backend: "nullspace",
      baseUrl: local.nullspace,
      apiKey: "wrong",
    });
    await expect(wrong.createMachine(size, keyed())).rejects.toThrow(/machines:apiKey/);
    await wrong.close();
  });

  test("nobody at the address is said, with what to do", async () => {
    const nobody = new NullspaceControlPlane({
      ...{ backend: "nullspace" as const, baseUrl: "http://127.0.0.1:9", apiKey: "k" },
      unreachableHint: "Look at machines:endpoint",
    });
    await expect(nobody.getMachine("mch_x", options)).rejects.toThrow(/Look at machines:endpoint/);
    await nobody.close();
  });
});
