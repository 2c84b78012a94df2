/** Terminals over REST: those that run, their size, their end. */
import { z } from "zod";
import { fetchValue, requestBody, segment } from "../answers";
import type { Call, CallOptions } from "../call";
import { anyAnswer, machineCall, withoutKey } from "./calls";
import type { NullspaceContext } from "./context";
import { resizeRequest } from "./wire";

export interface TerminalSize {
  cols: number;
  rows: number;
}

/** A terminal that runs. */
export interface PtyInfo extends Partial<TerminalSize> {
  sessionId: string;
  /** Names the process in this API; not its number inside the machine. */
  pid: number;
}

const ptyAnswer = z
  .looseObject({
    session_id: z.string(),
    pid: z.number(),
    cols: z.number().nullish(),
    rows: z.number().nullish(),
  })
  .transform(({ session_id: sessionId, pid, cols, rows }): PtyInfo => ({
    sessionId,
    pid,
    ...(typeof cols === "number" ? { cols } : {}),
    ...(typeof rows === "number" ? { rows } : {}),
  }));

export class PtyRest {
  constructor(private readonly context: Pick<NullspaceContext, "transport">) {}

  async list(machineId: string, options?: CallOptions): Promise<PtyInfo[]> {
    return this.send(z.array(ptyAnswer), "list the terminals of", "GET", machineId, "", options);
  }

  async get(machineId: string, sessionId: string, options?: CallOptions): Promise<PtyInfo> {
    return this.send(ptyAnswer, `read terminal ${sessionId} of`, "GET", machineId, below(sessionId), options);
  }

  async resize(
    machineId: string,
    sessionId: string,
    size: TerminalSize,
    options?: CallOptions,
  ): Promise<void> {
    const verb = `resize terminal ${sessionId} of`;
    const { cols, rows } = size;
    const body = requestBody(`${verb} machine ${machineId}`, resizeRequest, { cols, rows });
    await this.send(anyAnswer, verb, "POST", machineId, `${below(sessionId)}/resize`, options, { body });
  }

  async kill(machineId: string, sessionId: string, options?: CallOptions): Promise<void> {
    await this.send(
      anyAnswer,
      `end terminal ${sessionId} of`,
      "DELETE",
      machineId,
      below(sessionId),
      options,
    );
  }

  private async send<T>(
    schema: z.ZodType<T>,
    verb: string,
    method: Call["method"],
    machineId: string,
    path: string,
    options: CallOptions | undefined,
    rest: Partial<Call> = {},
  ): Promise<T> {
    const call = machineCall(verb, method, machineId, `/pty${path}`, {
      ...rest,
      options: withoutKey(options),
    });
    const { value } = await fetchValue(this.context.transport, schema, call);
    return value;
  }
}

const below = (sessionId: string): string => `/${segment("session id", sessionId)}`;
