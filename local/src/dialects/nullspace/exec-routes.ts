/**
 * Commands over HTTP: run to their end or in the background, listed, fed, ended, and their logs.
 * A command outlives the request that started it: when a foreground client goes away it runs on, bounded by its
 * timeout, and its logs are kept.
 */
import { execRequest, stdinRequest } from "@pulumi-machines/sdk/nullspace/wire";
import type { FastifyInstance } from "fastify";
import type { z } from "zod";
import type { ProcessLogs } from "../../engine/processes/api";
import type { NullspaceDeps } from "./deps";
import { type WireError, wireError } from "./errors";
import { defaultTimeoutSecs, execViolations, processOf } from "./exec-command";
import { processInfo, processLogs, unknownExitCode } from "./render-process";
import { machineOf, parse, pidOf, requireNoBody } from "./requests";
import { living } from "./transitions";
import type { Waiting } from "./waiting";

type ExecBody = z.infer<typeof execRequest>;

export function execRoutes(
  app: FastifyInstance,
  { controlPlane, waiting }: NullspaceDeps & { waiting: Waiting },
): void {
  const { processes } = controlPlane;

  app.post("/v1/machines/:id/exec", async (request, reply) => {
    const id = machineOf(request);
    const asked = readExec(request.body);
    await living(controlPlane, id);
    if (asked.background === true) {
      const { pid } = await waiting.run(reply, { kind: "lifecycle", id }, (signal) =>
        processes.start(id, { ...processOf(asked), stdin: "open" }, signal),
      );
      return { pid };
    }
    const timeoutSecs = asked.timeout_secs ?? defaultTimeoutSecs;
    const logs = await waiting.run(reply, { kind: "command", id }, async (signal) => {
      const spec = { ...processOf(asked), ...(timeoutSecs === 0 ? {} : { timeoutMs: timeoutSecs * 1000 }) };
      const { pid } = await processes.start(id, spec, signal);
      await processes.ended(id, pid, signal);
      return processes.logs(id, pid);
    });
    return execAnswer(logs, timeoutSecs);
  });

  app.get("/v1/machines/:id/processes", async (request) => {
    const { id } = await living(controlPlane, machineOf(request));
    return (await processes.list(id)).map(processInfo);
  });

  app.post("/v1/machines/:id/processes/:pid/kill", async (request, reply) => {
    requireNoBody(request);
    const pid = pidOf(request);
    const { id } = await living(controlPlane, machineOf(request));
    await processes.kill(id, pid);
    return reply.code(204).send();
  });

  app.post("/v1/machines/:id/processes/:pid/stdin", async (request, reply) => {
    const { data } = parse(stdinRequest, request.body);
    const pid = pidOf(request);
    const { id } = await living(controlPlane, machineOf(request));
    await waiting.run(reply, { kind: "input", id }, (signal) =>
      processes.writeStdin(id, pid, Buffer.from(data), signal),
    );
    return reply.code(204).send();
  });

  app.get("/v1/machines/:id/processes/:pid/logs", async (request) => {
    const pid = pidOf(request);
    const { id } = await living(controlPlane, machineOf(request));
    return processLogs(await processes.logs(id, pid));
  });
}

const readExec = (body: unknown): ExecBody =>
  parse(execRequest, body, (fields) => execViolations(fields, "body"));

function execAnswer(logs: ProcessLogs, timeoutSecs: number) {
  const { process, stdout, stderr } = logs;
  if (process.errorCode !== null) throw notItsOwnEnd(logs, timeoutSecs);
  return { exit_code: process.exitCode ?? unknownExitCode, stdout, stderr, pid: process.pid };
}

/** Something else than the command ended it: never a result. What it wrote is in the details. */
function notItsOwnEnd({ process, stdout, stderr }: ProcessLogs, timeoutSecs: number): WireError {
  const details = { pid: process.pid, reason: process.errorCode, stdout, stderr };
  if (process.errorCode === "EXECUTION_TIMEOUT") {
    const message = `the command ran for longer than ${String(timeoutSecs)} s (timeout_secs) and was killed`;
    return wireError(504, "exec_timeout", message, { details });
  }
  return wireError(502, "exec_failed", process.errorMessage ?? "the command could not be run", { details });
}
