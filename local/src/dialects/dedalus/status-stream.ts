/**
 * The status stream: every revision as an event whose id is the revision; closed when the desired state holds, after a
 * failure, and when the machine is gone.
 */
import type { ServerResponse } from "node:http";
import { isSettled } from "@pulumi-machines/sdk/dedalus/rules";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Machines } from "../../engine/control-plane";
import type { MachineRecord } from "../../engine/record";
import type { Faults, StreamRule } from "../../faults";
import type { OpenStreams } from "../../http/open-streams";
import { lifecycle } from "./render";

export interface StatusStreamOptions {
  machines: Machines;
  faults: Faults;
  streams: OpenStreams;
  flatPhase: boolean;
}

const frame = (event: string, id: number, data: unknown): string =>
  `event: ${event}\nid: ${String(id)}\ndata: ${JSON.stringify(data)}\n\n`;

/** A revision that a reader says it has seen; anything else is as if it had said nothing. */
function lastEventId(request: FastifyRequest): number | undefined {
  const header = request.headers["last-event-id"];
  return typeof header === "string" && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
}

class StatusStream {
  private told = 0;
  private ended = false;

  constructor(
    private readonly response: ServerResponse,
    private readonly options: StatusStreamOptions,
    private readonly fault: StreamRule | undefined,
  ) {}

  get isUntold(): boolean {
    return this.told === 0;
  }

  tell(record: MachineRecord): void {
    if (this.ended) return;
    const text = frame("status", record.revision, lifecycle(record, this.options.flatPhase));
    if (this.fault && this.told >= this.fault.afterEvents) {
      this.break(this.fault, text);
      return;
    }
    this.told++;
    this.options.streams.write(this.response, text);
    if (isSettled(record.phase, record.desiredState)) this.end();
  }

  /** The reader knows all there is, and nothing more will come: say where it stands, and close. */
  endAt(revision: number): void {
    this.options.streams.write(this.response, frame("bookmark", revision, { revision: String(revision) }));
    this.end();
  }

  private end(): void {
    this.ended = true;
    this.response.end();
  }

  private break(fault: StreamRule, text: string): void {
    this.ended = true;
    if (fault.do === "silence") this.options.streams.silence(this.response);
    else if (fault.do === "drop") this.response.destroy();
    else this.response.write(text.slice(0, text.length / 2), () => this.response.destroy());
  }
}

/** @throws Refusal machine_not_found, before anything is sent. */
export async function openStatusStream(
  id: string,
  request: FastifyRequest,
  reply: FastifyReply,
  options: StatusStreamOptions,
): Promise<void> {
  const { machines, faults, streams } = options;
  const machine = await machines.get(id);
  const after = lastEventId(request);
  reply.hijack();
  const response = reply.raw;
  streams.begin(response, { "x-request-id": request.id });
  const stream = new StatusStream(response, options, faults.forStream(machine));
  let gone = false;
  let leave: (() => void) | undefined;
  response.once("close", () => {
    gone = true;
    leave?.();
  });
  try {
    leave = await machines.follow(id, after, (record) => {
      stream.tell(record);
    });
    if (gone) leave();
    if (after === undefined || !stream.isUntold) return;
    const now = await machines.get(id);
    if (now.revision === after && isSettled(now.phase, now.desiredState)) stream.endAt(after);
  } catch {
    // The answer has begun: all that can be said is that it ends here; the reader asks again and is told why.
    response.destroy();
  }
}
