/** Ports of a machine. It shares the host's network, so that a port of it is one of 127.0.0.1. */
import { connect } from "node:net";
import { request as httpRequest } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { hostRequest } from "@pulumi-machines/sdk/nullspace/wire";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { ControlPlane } from "../../engine/control-plane";
import type { MachineRecord } from "../../engine/record";
import { violation } from "../../http-violations";
import type { NullspaceDeps } from "./deps";
import { wireError } from "./errors";
import { machineId } from "./ids";
import { machineOf, parse, portOf } from "./requests";
import { living } from "./transitions";
import type { Waiting } from "./waiting";

const address = "127.0.0.1";
/** One try takes no longer, in milliseconds. */
const tryMs = 5_000;

/** The vendor's defaults; the bounds are ours. */
const readinessRequest = z.strictObject({
  kind: z.enum(["tcp", "http"]).nullish(),
  path: z.string().max(2048).nullish(),
  timeout_secs: z.int().min(0).max(240).nullish(),
  interval_ms: z.int().min(10).max(60_000).nullish(),
});

interface Probe {
  port: number;
  kind: "tcp" | "http";
  path: string;
}

export function portRoutes(
  app: FastifyInstance,
  { controlPlane, waiting }: NullspaceDeps & { waiting: Waiting },
): void {
  app.post("/v1/machines/:id/host", async (request, reply) => {
    const id = machineOf(request);
    const { port } = parse(hostRequest, request.body);
    await waiting.run(reply, { kind: "lifecycle", id }, (signal) => reachable(controlPlane, id, signal));
    const host = `${address}:${String(port)}`;
    return { host, url: `http://${host}`, websocket_url: `ws://${host}` };
  });

  app.post("/v1/machines/:id/ports/:port/readiness", async (request, reply) => {
    const id = machineOf(request);
    const port = portOf(request);
    const asked = parse(readinessRequest, request.body ?? {}, ({ path }) =>
      typeof path === "string" && !/^\/[\x21-\x7e]*$/.test(path)
        ? [violation("body.path", "must begin with / and be percent-encoded")]
        : [],
    );
    const probe: Probe = { port, kind: asked.kind ?? "tcp", path: asked.path ?? "/" };
    const begun = Date.now();
    const patience = {
      deadline: begun + (asked.timeout_secs ?? 30) * 1000,
      intervalMs: asked.interval_ms ?? 500,
    };
    const found = await waiting.run(reply, { kind: "lifecycle", id }, async (signal) => {
      await reachable(controlPlane, id, signal);
      return poll(probe, patience, signal);
    });
    return {
      ready: found.failure === undefined,
      route_ready: true,
      service_ready: found.failure === undefined,
      machine_id: machineId(id),
      port,
      kind: probe.kind,
      checked_at: new Date().toISOString(),
      elapsed_ms: Date.now() - begun,
      attempts: found.attempts,
      ...(probe.kind === "http" ? { path: probe.path } : {}),
      ...(found.failure === undefined
        ? {}
        : {
            code: "service_not_ready",
            error: found.failure,
            suggested_action: `start a service that listens on port ${String(port)} in the machine`,
          }),
    };
  });
}

/** The machine runs, or is woken where its lease says so, and shares the host's network. @throws Refusal, WireError */
async function reachable(
  controlPlane: ControlPlane,
  id: string,
  signal: AbortSignal,
): Promise<MachineRecord> {
  await living(controlPlane, id);
  const machine = await controlPlane.machines.use(id, "port", signal);
  if (machine.egress === "allow_all") return machine;
  throw wireError(
    501,
    "not_implemented",
    `machine ${machineId(id)} denies all egress and so has a network of its own: no port of it can be reached from outside`,
  );
}

/** Tries until it answers or the time is over; at least once. */
async function poll(
  probe: Probe,
  { deadline, intervalMs }: { deadline: number; intervalMs: number },
  signal: AbortSignal,
): Promise<{ attempts: number; failure: string | undefined }> {
  for (let attempts = 1; ; attempts++) {
    const failure = await (probe.kind === "tcp" ? tryTcp(probe, signal) : tryHttp(probe, signal));
    signal.throwIfAborted();
    if (failure === undefined || Date.now() + intervalMs > deadline) return { attempts, failure };
    await sleep(intervalMs, undefined, { signal }).catch(() => {
      signal.throwIfAborted();
    });
  }
}

/** Why nothing answered; undefined when something did. */
async function tryTcp({ port }: Probe, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, signal });
    socket.setTimeout(tryMs, () => socket.destroy(new Error(`no answer within ${String(tryMs)} ms`)));
    socket.once("connect", () => {
      resolve(undefined);
      socket.destroy();
    });
    socket.once("error", (error) => {
      resolve(error.message);
    });
  });
}

/** Anything but an error of the service itself (5xx) is an answer; redirects are not followed. */
async function tryHttp({ port, path }: Probe, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve) => {
    const asking = httpRequest({ host: address, port, path, signal, timeout: tryMs, agent: false });
    asking.once("timeout", () => {
      asking.destroy(new Error(`no answer within ${String(tryMs)} ms`));
    });
    asking.once("response", (response) => {
      const status = response.statusCode ?? 0;
      resolve(status < 500 ? undefined : `GET ${path} answered ${String(status)}`);
      asking.destroy();
    });
    asking.once("error", (error) => {
      resolve(error.message);
    });
    asking.end();
  });
}
