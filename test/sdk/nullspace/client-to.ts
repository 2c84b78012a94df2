/** A client for a scripted server, or for the embedded control plane; everything is closed after each test. */
import { NullspaceClient, type NullspaceClientOptions } from "../../../sdk/src/nullspace/client";
import { httpServer, rawServer, type Answer, type Loopback } from "../loopback";
import { patientDeps, type PatientDeps } from "../patient";

export const key = "ns_live_secret-1";

const open: AsyncDisposable[] = [];
export async function closeAll(): Promise<void> {
  for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]();
}

export function clientTo(
  baseUrl: string,
  options: NullspaceClientOptions = {},
): { client: NullspaceClient; deps: PatientDeps } {
  const deps = patientDeps();
  const client = new NullspaceClient({ apiKey: key, baseUrl, deps, ...options });
  open.push(client);
  return { client, deps };
}

export interface Served {
  server: Loopback;
  client: NullspaceClient;
  deps: PatientDeps;
}

export async function serve(answer: Answer, options?: NullspaceClientOptions): Promise<Served> {
  const server = await httpServer(answer);
  open.push(server);
  return { server, ...clientTo(server.url, options) };
}

export async function serveRaw(
  script: Parameters<typeof rawServer>[0],
  options?: NullspaceClientOptions,
): Promise<Served> {
  const server = await rawServer(script);
  open.push(server);
  return { server, ...clientTo(server.url, options) };
}

export const failureOf = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => {
      throw new Error("it succeeded");
    },
    (error: unknown) => error as Error,
  );

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** A machine as the service shows it. */
export const wireMachine = (id = "mch_one", more: Record<string, unknown> = {}) => ({
  id,
  status: "running",
  config: { vcpus: 1, memory_mb: 256, disk_mb: 1024 },
  template: "base",
  created_at: "2026-05-12T00:00:00.000Z",
  ...more,
});

export const wireEvent = (id: string, more: Record<string, unknown> = {}) => ({
  id,
  occurred_at: "2026-05-12T00:00:00.000Z",
  audience: "customer",
  operation: "create",
  status: "succeeded",
  actor_kind: "user",
  metadata: {},
  machine_id: "mch_one",
  ...more,
});
