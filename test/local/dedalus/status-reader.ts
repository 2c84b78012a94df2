/** Reads a status stream as it comes, and tells a clean end from a broken connection. */
import { once } from "node:events";
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import type { Local } from "../../../local/src/start-local";
import { eventually, parseEvents, type SeenEvent } from "./control-plane";

export class StatusReader {
  text = "";
  readonly ended: Promise<"end" | "broken">;

  private constructor(
    private readonly asked: ClientRequest,
    readonly response: IncomingMessage,
  ) {
    response.on("data", (chunk: Buffer) => (this.text += chunk.toString()));
    this.ended = new Promise((resolve) => {
      response.once("end", () => {
        resolve("end");
      });
      response.once("error", () => {
        resolve("broken");
      });
    });
  }

  static async open(local: Local, id: string, lastEventId?: string): Promise<StatusReader> {
    const asked = request(`${local.dedalus}/v1/machines/${id}/status/stream`, {
      agent: false,
      headers: {
        accept: "text/event-stream",
        authorization: `Bearer ${local.apiKey}`,
        ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId }),
      },
    });
    asked.end();
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    return new StatusReader(asked, response);
  }

  get events(): SeenEvent[] {
    return parseEvents(this.text.slice(0, this.text.lastIndexOf("\n\n") + 2));
  }

  get ids(): number[] {
    return this.events.map(({ id }) => Number(id));
  }

  get phases(): string[] {
    return this.events.map(({ data }) => (data["status"] as { phase: string }).phase);
  }

  until = (what: string, holds: () => boolean): Promise<void> => eventually(what, holds);

  leave(): void {
    this.asked.destroy();
  }
}
