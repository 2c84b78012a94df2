/** One walk through all that is served: every success that the contract documents is answered, and is the contract's. */
import { createServer } from "node:http";
import type { Local } from "../../../local/src/start-local";
import { nullspaceContract } from "../../contracts/contract";
import { Api, eventually, startTestLocal } from "./control-plane";

/** Files have a walk of their own; sockets are no answers; the rest is not served. */
const elsewhere =
  /\/files?(\/|$)|\/uploads|\/volumes|\/ws$|preview|ssh-access|template|\/v1\/(account|keys)|\/v1\/template/;

let local: Local;
let api: Api;
beforeAll(async () => {
  local = await startTestLocal({ driver: "auto", allowHttpWebhooks: true });
  api = new Api(local);
});
afterAll(() => local.close());

it("answers every documented success", async () => {
  await api.ask("GET", "/healthz");
  const id = await api.machine({ metadata: { a: 1 } });
  const machine = `/v1/machines/${id}`;
  await api.ask("GET", machine);
  await api.ask("GET", "/v1/machines");
  await api.ask("POST", `${machine}/timeout`, { body: { timeout_ms: 600_000 } });
  await api.ask("PATCH", `${machine}/egress`, { body: { egress: { mode: "allow_all" } } });
  await api.ask("POST", `${machine}/host`, { body: { port: 8080 } });
  await api.ask("POST", `${machine}/ports/1/readiness`, { body: { timeout_secs: 0 } });
  await api.ask("GET", `${machine}/metrics`);

  await api.ask("POST", `${machine}/exec`, { body: { command: "true" } });
  const cat = await api.ask("POST", `${machine}/exec`, { body: { command: "cat", background: true } });
  const process = `${machine}/processes/${String(cat.json["pid"])}`;
  await api.ask("POST", `${process}/stdin`, { body: { data: "x" } });
  await api.ask("GET", `${process}/logs`);
  await api.ask("POST", `${process}/kill`);
  await api.ask("GET", `${machine}/processes`);

  const terminal = { cols: 80, rows: 24 };
  const signal = AbortSignal.timeout(10_000);
  const shell = await local.controlPlane.processes.start(
    id.slice(4),
    { command: ["/bin/sh"], terminal },
    signal,
  );
  const pty = `${machine}/pty/${String(shell.terminal?.sessionId)}`;
  await api.ask("GET", `${machine}/pty`);
  await api.ask("GET", pty);
  await api.ask("POST", `${pty}/resize`, { body: terminal });
  await api.ask("DELETE", pty);

  const server = createServer((request, response) => {
    request.resume();
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const hook = {
    url: `http://127.0.0.1:${String(port)}/`,
    operations: ["fork", "snapshot_created"],
    signing_secret: "secret",
  };
  const made = await api.ask("POST", "/v1/lifecycle/webhooks", { body: hook });
  const webhook = `/v1/lifecycle/webhooks/${String(made.json["id"])}`;
  await api.ask("GET", "/v1/lifecycle/webhooks");
  await api.ask("PATCH", webhook, { body: { enabled: true } });

  const taken = await api.ask("POST", `${machine}/snapshots`);
  const snapshot = `/v1/snapshots/${String(taken.json["id"])}`;
  await api.ask("GET", "/v1/snapshots");
  await api.ask("GET", snapshot);
  await api.ask("GET", `${snapshot}/lifecycle`);
  await api.ask("DELETE", snapshot);
  await api.ask("POST", `${machine}/fork`);
  await api.ask("POST", `${machine}/hibernate`);
  await api.ask("GET", machine);
  await api.ask("POST", `${machine}/resume`);
  await api.ask("GET", `${machine}/lifecycle`);
  await api.ask("GET", "/v1/lifecycle/events");

  const deliveries = async () =>
    (await api.ask("GET", `${webhook}/deliveries`)).json as unknown as { id: string }[];
  await eventually("something is delivered", async () => (await deliveries()).length > 0);
  await api.ask("GET", `${webhook}/deliveries/${String((await deliveries())[0]?.id)}`);
  await api.ask("GET", webhook);
  await api.ask("DELETE", webhook);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await api.ask("DELETE", machine);

  const expected = Object.entries(nullspaceContract().paths)
    .filter(([template]) => !elsewhere.test(template))
    .flatMap(([template, methods]) =>
      Object.entries(methods)
        .filter(([method]) => method !== "parameters")
        .flatMap(([method, { responses }]) =>
          Object.keys(responses)
            .filter((status) => status.startsWith("2"))
            .map((status) => `${method.toUpperCase()} ${template} ${status}`),
        ),
    );
  expect(expected.filter((name) => !api.check.seen.has(name))).toEqual([]);
  expect(expected).toHaveLength(36);
});
