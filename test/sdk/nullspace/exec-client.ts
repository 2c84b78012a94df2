/** Commands of a client that talks to a scripted machine. */
import { ConnectionError } from "../../../sdk/src/errors";
import { Transport } from "../../../sdk/src/http";
import type { CommandOutput } from "../../../sdk/src/nullspace/exec-output";
import { Commands } from "../../../sdk/src/nullspace/commands";
import type { NullspaceContext } from "../../../sdk/src/nullspace/context";
import { DispatchProofs } from "../../../sdk/src/nullspace/dispatch-proofs";
import { ExecRest } from "../../../sdk/src/nullspace/exec-rest";
import { nullspaceManners } from "../../../sdk/src/nullspace/manners";
import type { SocketLimits } from "../../../sdk/src/socket";
import type { PatientDeps } from "../patient";
import { virtualDeps } from "./virtual-time";

export const key = "ns_live_secret-key";

export interface TestContext extends NullspaceContext, AsyncDisposable {
  readonly deps: PatientDeps;
  readonly socketLimits?: Partial<SocketLimits>;
}

export function contextOf(
  url: string,
  socketLimits: Partial<SocketLimits> = {},
  deps = virtualDeps(),
): TestContext {
  const baseUrl = new URL(url);
  const headers = { authorization: `Bearer ${key}` };
  const transport = new Transport(
    { ...nullspaceManners, baseUrl, headers, secrets: [key], timeoutMs: 60_000, maxRetries: 0 },
    deps,
  );
  const closing = new AbortController();
  return {
    transport,
    baseUrl,
    authHeaders: () => headers,
    redact: transport.redact,
    deps,
    closing: closing.signal,
    socketLimits,
    [Symbol.asyncDispose]: async () => {
      closing.abort(new ConnectionError({ message: "the client was closed", code: "client_closed" }));
      await transport.close();
    },
  };
}

export const commandsOf = (context: TestContext): Commands =>
  new Commands(context, new ExecRest(context, new DispatchProofs()));

/** What of each stream arrived, with `<5>` where five bytes are missing and `<?>` where nobody knows. */
export async function readAll(
  output: AsyncIterable<CommandOutput>,
): Promise<{ stdout: string; stderr: string }> {
  const text = { stdout: "", stderr: "" };
  for await (const piece of output) {
    text[piece.stream] += piece.kind === "gap" ? `<${String(piece.bytes ?? "?")}>` : piece.data;
  }
  return text;
}
