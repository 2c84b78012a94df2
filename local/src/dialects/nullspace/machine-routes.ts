/** /v1/machines, and what is below it of a machine's own life. */
import { setTimeoutRequest, updateEgressRequest } from "@pulumi-machines/sdk/nullspace/wire";
import type { FastifyInstance } from "fastify";
import type { MachineRecord } from "../../engine/record";
import type { StoredAnswer } from "../../engine/control-plane";
import { streamRoute } from "../dedalus/stream-route";
import type { NullspaceDeps } from "./deps";
import { policyViolations } from "./egress";
import { notImplemented, wireError } from "./errors";
import { machineId, snapshotId } from "./ids";
import { spanViolations } from "./lease";
import { machineList, machineView } from "./machine-list";
import { machineState } from "./machine-state";
import { newMachine } from "./new-machine";
import { createdMachine, egressAnswer, leaseAnswer, machineHandle, metrics, snapshotInfo } from "./render";
import { idempotencyOf, machineOf, parse, requireNoBody } from "./requests";
import { living, settled, usable } from "./transitions";
import type { Waiting } from "./waiting";

/** What is kept under the key of a create or a fork: the machine that it made. The answer shows it as it then is. */
const keepId = ({ id }: MachineRecord): StoredAnswer => ({
  status: 201,
  headers: {},
  body: JSON.stringify({ id }),
});
const keptId = ({ body }: StoredAnswer): string => (JSON.parse(body) as { id: string }).id;

export function machineRoutes(app: FastifyInstance, deps: NullspaceDeps & { waiting: Waiting }): void {
  const { settings, controlPlane, faults, streams, waiting } = deps;
  const { machines, snapshots } = controlPlane;

  app.get("/v1/machines", async (request) => machineList(machines, request));

  app.post("/v1/machines", async (request, reply) => {
    const { body, spec, warmPool } = newMachine(request.body, settings.limits);
    const once = idempotencyOf(request, body);
    const id = keptId(
      await waiting.once(reply, { kind: "create" }, () => machines.create(spec, once, keepId)),
    );
    const machine = await waiting.run(reply, { kind: "create", id }, (signal) =>
      usable(controlPlane, id, signal),
    );
    return reply.code(201).send(createdMachine(machine, warmPool));
  });

  app.get("/v1/machines/:id", async (request) =>
    machineView(await living(controlPlane, machineOf(request)), request),
  );

  app.delete("/v1/machines/:id", async (request, reply) => {
    const id = machineOf(request);
    requireNoBody(request);
    const { phase } = await machines.get(id);
    if (phase === "destroyed") await living(controlPlane, id);
    await machines.state(id, "destroyed");
    await waiting.run(reply, { kind: "other", id }, (signal) =>
      settled(controlPlane, id, { desired: "destroyed", signal }),
    );
    return { id: machineId(id), status: "destroyed" };
  });

  app.post("/v1/machines/:id/hibernate", async (request, reply) => {
    const id = machineOf(request);
    requireNoBody(request);
    const before = await living(controlPlane, id);
    if (before.phase === "sleeping") throw pausedAlready(before);
    await machines.state(id, "sleeping");
    const asleep = await waiting.run(reply, { kind: "lifecycle", id }, (signal) =>
      settled(controlPlane, id, { desired: "sleeping", signal }),
    );
    if (asleep.hibernationId === null) throw new Error(`machine ${id} sleeps without a snapshot`);
    return snapshotInfo(await snapshots.get(asleep.hibernationId));
  });

  app.post("/v1/machines/:id/resume", async (request, reply) => {
    const id = machineOf(request);
    requireNoBody(request);
    const before = await living(controlPlane, id);
    // Already running is a success: resume carries no key, so that a retry must be one.
    if (before.phase === "running" && before.desiredState === "running") return machineHandle(before);
    await machines.state(id, "running");
    const machine = await waiting.run(reply, { kind: "lifecycle", id }, (signal) =>
      settled(controlPlane, id, { desired: "running", signal }),
    );
    return machineHandle(machine);
  });

  app.post("/v1/machines/:id/fork", async (request, reply) => {
    const id = machineOf(request);
    requireNoBody(request);
    const once = idempotencyOf(request);
    const child = keptId(
      await waiting.once(reply, { kind: "lifecycle", id }, () => machines.fork(id, once, keepId)),
    );
    const machine = await waiting.run(reply, { kind: "lifecycle", id: child }, (signal) =>
      usable(controlPlane, child, signal),
    );
    return reply.code(201).send(machineHandle(machine));
  });

  app.post("/v1/machines/:id/timeout", async (request) => {
    const id = machineOf(request);
    const asked = parse(setTimeoutRequest, request.body, (fields) =>
      spanViolations("timeout_ms", fields["timeout_ms"]),
    );
    await living(controlPlane, id);
    const machine = await machines.setLease(id, {
      timeoutMs: asked.timeout_ms,
      ...(asked.timeout_action === undefined ? {} : { timeoutAction: asked.timeout_action }),
    });
    return leaseAnswer(machine, new Date());
  });

  app.patch("/v1/machines/:id/egress", async (request) => {
    const id = machineOf(request);
    const { egress } = parse(updateEgressRequest, request.body);
    for (const [name, why] of policyViolations(egress)) throw notImplemented(`egress.${name}: ${why}`);
    await living(controlPlane, id);
    return egressAnswer(await machines.setEgress(id, egress.mode === "deny_all" ? "deny_all" : "allow_all"));
  });

  app.get("/v1/machines/:id/metrics", async (request) => {
    const machine = await living(controlPlane, machineOf(request));
    return [metrics(machine, await machines.usage(machine.id), new Date())];
  });

  // An extension, the same as in the other dialect; also of a machine that is destroyed, until it is forgotten.
  app.get("/v1/machines/:id/status/stream", streamRoute({ machines, faults, streams, machineOf }));
}

const pausedAlready = (machine: MachineRecord) =>
  wireError(
    409,
    "machine_not_ready",
    `machine ${machineId(machine.id)} is ${machineState(machine)} already: resume wakes it`,
    machine.hibernationId === null
      ? {}
      : { details: { snapshot_id: snapshotId(machine.hibernationId), status: machineState(machine) } },
  );
