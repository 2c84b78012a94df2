import { DedalusClient } from "../../sdk/src/dedalus/client";
import { httpServer, sendJson, type Answer, type Loopback } from "./loopback";
import { machineId } from "./machine-wire";
import { patientDeps } from "./patient";

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each[Symbol.asyncDispose]();
});

async function setUp(answer: Answer) {
  const server: Loopback = await httpServer(answer);
  const deps = patientDeps();
  const client = new DedalusClient({ baseUrl: server.url, apiKey: "k", deps });
  open.push(client, server);
  return { server, deps, executions: client.executions };
}

const execution = (status: string, rest: object = {}) => ({
  execution_id: "ex-1",
  machine_id: machineId,
  status,
  command: ["true"],
  created_at: "2026-05-12T00:00:00Z",
  ...rest,
});
const event = (sequence: number, type: string, chunk?: string) => ({
  sequence,
  type,
  at: "2026-05-12T00:00:00Z",
  ...(chunk === undefined ? {} : { chunk }),
});
const base = `/v1/machines/${machineId}/executions`;
const output = { execution_id: "ex-1", stdout: "one\ntwo\nthree\n", stderr: "oops\n" };

/** A service whose command gives one event more at each look, in pages that overlap. */
function running(states: object[], log: object[], endsWithCursor: boolean): Answer {
  let looks = 0;
  return (response, { method, url }) => {
    if (method === "POST" || url === `${base}/ex-1`) {
      return sendJson(response, 200, states[Math.min(looks++, states.length - 1)]);
    }
    if (url.endsWith("/output")) return sendJson(response, 200, output);
    const from = Number(new URL(url, "http://h").searchParams.get("cursor") ?? 0);
    const known = log.slice(0, looks === states.length ? log.length : looks);
    const items = known.slice(from, from + 2);
    const more = from + 2 < known.length || (endsWithCursor && items.length > 0);
    sendJson(response, 200, { items, ...(more ? { next_cursor: String(from + items.length) } : {}) });
  };
}

const log = [
  event(1, "lifecycle"),
  event(2, "stdout", "one\n"),
  event(3, "stderr", "oops\n"),
  event(4, "stdout", "two\n"),
  event(9, "stdout", "three\n"),
  event(10, "lifecycle"),
];

test.each([true, false])(
  "run streams each piece once and in order (cursor at the end: %s)",
  async (endsWithCursor) => {
    const states = [
      execution("wake_in_progress", { retry_after_ms: 700 }),
      execution("queued"),
      execution("running"),
      execution("running"),
      execution("succeeded", { exit_code: 0 }),
    ];
    const { executions, deps } = await setUp(running(states, log, endsWithCursor));
    const pieces: string[] = [];
    const result = await executions.run(
      machineId,
      { command: ["sh", "-c", "x"], cwd: "/tmp", env: { A: "1" }, stdin: "in", timeoutMs: 9_000 },
      { onStdout: (chunk) => pieces.push(`out:${chunk}`), onStderr: (chunk) => pieces.push(`err:${chunk}`) },
    );
    expect(pieces).toEqual(["out:one\n", "err:oops\n", "out:two\n", "out:three\n"]);
    expect(result).toMatchObject({ exitCode: 0, stdout: output.stdout, stderr: output.stderr });
    expect(result.execution.status).toBe("succeeded");
    expect(deps.waits[0]).toBe(700);
  },
);

test("run sends what it was given and an idempotency key", async () => {
  const { executions, server } = await setUp(running([execution("succeeded", { exit_code: 0 })], [], false));
  await executions.run(
    machineId,
    { command: ["sh"], cwd: "/tmp", env: { A: "1" }, stdin: "in", timeoutMs: 9_000 },
    { idempotencyKey: "mine" },
  );
  expect(server.seen[0]).toMatchObject({ method: "POST", url: base });
  expect(JSON.parse(server.seen[0]?.body ?? "")).toEqual({
    command: ["sh"],
    cwd: "/tmp",
    env: { A: "1" },
    stdin: "in",
    timeout_ms: 9_000,
  });
  expect(server.seen[0]?.headers["idempotency-key"]).toBe("mine");
});

test("a command that fails is a result, not an error", async () => {
  const failed = execution("failed", { exit_code: 3, error_code: "EXIT", error_message: "exit 3" });
  const { executions } = await setUp(running([failed], [], false));
  const result = await executions.run(machineId, { command: ["false"] });
  expect(result).toMatchObject({ exitCode: 3, execution: { status: "failed", errorMessage: "exit 3" } });
});

test("a command that never exited has no exit code", async () => {
  const { executions } = await setUp(running([execution("expired")], [], false));
  expect((await executions.run(machineId, { command: ["x"] })).exitCode).toBeUndefined();
});

test("follow reads a command that runs already from its start, and sends nothing but reads", async () => {
  const states = [execution("running"), execution("running"), execution("succeeded", { exit_code: 0 })];
  const { executions, server } = await setUp(running(states, log, false));
  const pieces: string[] = [];
  const result = await executions.follow(machineId, "ex-1", {
    onStdout: (chunk) => pieces.push(`out:${chunk}`),
    onStderr: (chunk) => pieces.push(`err:${chunk}`),
  });
  expect(pieces).toEqual(["out:one\n", "err:oops\n", "out:two\n", "out:three\n"]);
  expect(result).toMatchObject({ exitCode: 0, stdout: output.stdout, execution: { executionId: "ex-1" } });
  expect(new Set(server.seen.map(({ method }) => method))).toEqual(new Set(["GET"]));
});

test("a following that is aborted leaves the command running", async () => {
  const { executions, server } = await setUp((...request) => endless(...request));
  const abort = new AbortController();
  const reason = new Error("enough");
  const options = { signal: abort.signal, onStdout: () => abort.abort(reason) };
  await expect(executions.follow(machineId, "ex-1", options)).rejects.toBe(reason);
  expect(cancels(server)).toEqual([]);
});

const endless: Answer = (response, { url }) => {
  if (url.includes("/events")) sendJson(response, 200, { items: [event(1, "stdout", "a")] });
  else sendJson(response, 200, execution("running"));
};
const cancels = (server: Loopback) =>
  server.seen.filter(({ method }) => method === "DELETE").map(({ url }) => url);

test("an aborted run cancels the command and rejects with the reason", async () => {
  const { executions, server } = await setUp(endless);
  const abort = new AbortController();
  const reason = new Error("enough");
  const run = executions.run(
    machineId,
    { command: ["x"] },
    { signal: abort.signal, onStdout: () => abort.abort(reason) },
  );
  await expect(run).rejects.toBe(reason);
  expect(cancels(server)).toEqual([`${base}/ex-1`]);
});

test("a run that is aborted while the command is being created still cancels it", async () => {
  const abort = new AbortController();
  const reason = new Error("enough");
  const { executions, server } = await setUp((response, request, count) => {
    abort.abort(reason);
    return endless(response, request, count);
  });
  await expect(executions.run(machineId, { command: ["x"] }, { signal: abort.signal })).rejects.toBe(reason);
  expect(server.seen.map(({ method }) => method)).toEqual(["POST", "DELETE"]);
});

test("a run that is aborted before it begins sends nothing", async () => {
  const { executions, server } = await setUp(endless);
  const reason = new Error("never mind");
  const run = executions.run(machineId, { command: ["x"] }, { signal: AbortSignal.abort(reason) });
  await expect(run).rejects.toBe(reason);
  expect(server.seen).toEqual([]);
});

test("a callback that throws cancels the command, and its error comes out", async () => {
  const { executions, server } = await setUp(endless);
  const mine = new Error("disk full");
  const run = executions.run(
    machineId,
    { command: ["x"] },
    {
      onStdout: () => {
        throw mine;
      },
    },
  );
  await expect(run).rejects.toBe(mine);
  expect(cancels(server)).toHaveLength(1);
});

test("executions are listed, read and deleted", async () => {
  const { executions, server } = await setUp((response, { url, method }) => {
    if (method === "GET" && url === base) sendJson(response, 200, { items: [execution("new_status")] });
    else if (url.endsWith("/output")) sendJson(response, 200, { execution_id: "ex-1" });
    else sendJson(response, 200, execution("cancelled", { signal: 9 }));
  });
  const found: string[] = [];
  for await (const each of executions.list(machineId)) found.push(each.status);
  expect(found).toEqual(["new_status"]);
  expect(await executions.get(machineId, "ex-1")).toMatchObject({ executionId: "ex-1", signal: 9 });
  expect(await executions.output(machineId, "ex-1")).toMatchObject({
    stdout: "",
    stderr: "",
    stdoutTruncated: false,
  });
  expect(await executions.delete(machineId, "ex-1")).toMatchObject({ status: "cancelled" });
  expect(server.seen.at(-1)?.headers).toHaveProperty("idempotency-key");
});
