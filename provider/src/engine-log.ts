/** The engine's log service, through the very modules that the provider process has loaded already. */
import { createRequire } from "node:module";
import type { Progress, ProgressLine } from "./progress";

/** The second argument of a dynamic provider's process; undefined when this is no such process. */
export function engineAddress(argv: readonly string[]): string | undefined {
  const address = argv[2];
  return address !== undefined && /^(127\.0\.0\.1|localhost|\[::1\]):\d+$/.test(address)
    ? address
    : undefined;
}

/** The little that is used of Pulumi's generated code, which has no complete types of its own. */
interface LogRequest {
  setSeverity(severity: number): void;
  setMessage(message: string): void;
  setUrn(urn: string): void;
  setEphemeral(ephemeral: boolean): void;
}
interface EngineModules {
  EngineClient: new (
    address: string,
    credentials: unknown,
    options: object,
  ) => {
    log(request: LogRequest, done: (error: unknown) => void): void;
  };
  LogRequest: new () => LogRequest;
  LogSeverity: { INFO: number; WARNING: number };
  createInsecure: () => unknown;
}

/** @throws Error when this version of Pulumi keeps the modules elsewhere. */
function loadModules(): EngineModules {
  // From where the program's own Pulumi is, so that both share one copy of the gRPC library.
  const pulumi = require.resolve("@pulumi/pulumi");
  const load = createRequire(pulumi);
  const { EngineClient } = load("./proto/engine_grpc_pb") as Pick<EngineModules, "EngineClient">;
  const { LogRequest, LogSeverity } = load("./proto/engine_pb") as Pick<
    EngineModules,
    "LogRequest" | "LogSeverity"
  >;
  const grpc = load("@grpc/grpc-js") as { credentials: { createInsecure: () => unknown } };
  return { EngineClient, LogRequest, LogSeverity, createInsecure: () => grpc.credentials.createInsecure() };
}

/** gRPC's own number for "nobody answers there". */
const unavailable = 14;

/** Sends the lines of one resource one after the other: calls under way at once may overtake each other. */
export function openEngineLog(address: string, onGone: () => void): Progress {
  const { EngineClient, LogRequest, LogSeverity, createInsecure } = loadModules();
  const client = new EngineClient(address, createInsecure(), {});
  const send = ({ urn, message, ephemeral, severity }: ProgressLine): Promise<void> =>
    new Promise((resolve) => {
      try {
        const request = new LogRequest();
        request.setSeverity(severity === "warning" ? LogSeverity.WARNING : LogSeverity.INFO);
        request.setMessage(message);
        if (urn !== "") request.setUrn(urn);
        request.setEphemeral(ephemeral);
        client.log(request, (error) => {
          if ((error as { code?: number } | null)?.code === unavailable) onGone();
          resolve();
        });
      } catch {
        // A line that is not shown is no reason to fail a deploy.
        resolve();
      }
    });
  const lastOf = new Map<string, Promise<void>>();
  return {
    say(line) {
      const before = lastOf.get(line.urn);
      const now = before ? before.then(() => send(line)) : send(line);
      lastOf.set(line.urn, now);
      void now.then(() => {
        if (lastOf.get(line.urn) === now) lastOf.delete(line.urn);
      });
    },
    shown: (urn) => lastOf.get(urn) ?? Promise.resolve(),
  };
}
