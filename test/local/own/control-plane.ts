/** A plain HTTP client of the routes of our own, beside those of both dialects. */
import type { Local } from "../../../local/src/start-local";
import { Api as DedalusApi } from "../dedalus/control-plane";
import { Api as NullspaceApi } from "../nullspace/control-plane";

export { eventually, startTestLocal } from "../dedalus/control-plane";
export { newKey } from "../nullspace/control-plane";

export interface Answer {
  status: number;
  headers: Headers;
  json: Record<string, unknown>;
}

let keys = 0;

export class OwnApi {
  readonly dedalus: DedalusApi;
  readonly nullspace: NullspaceApi;

  constructor(readonly local: Local) {
    this.dedalus = new DedalusApi(local);
    this.nullspace = new NullspaceApi(local);
  }

  async ask(
    path: string,
    body?: unknown,
    key: string | null = `own-${String(++keys)}`,
    apiKey = this.local.apiKey,
  ): Promise<Answer> {
    const response = await fetch(`${this.local.url}/local/v1${path}`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${apiKey}`,
        "content-type": "application/json",
        ...(key === null ? {} : { "idempotency-key": key }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const json = (await response.json()) as Record<string, unknown>;
    return { status: response.status, headers: response.headers, json };
  }

  /** Creates a machine and waits until it runs; answers its id without a prefix. */
  async running(body: unknown): Promise<string> {
    const { status, json } = await this.ask("/machines", body);
    if (status !== 202) throw new Error(`${String(status)} ${JSON.stringify(json)}`);
    const id = String(json["machine_id"]).slice("dm-".length);
    await this.settled(id, "running");
    return id;
  }

  /** Follows the status stream to its end, which is the phase that was asked for. */
  async settled(id: string, phase: string): Promise<void> {
    const headers = { authorization: `Bearer ${this.local.apiKey}` };
    const stream = await fetch(`${this.local.dedalus}/v1/machines/dm-${id}/status/stream`, { headers });
    await stream.text();
    const { json } = await this.dedalus.ask("GET", `/v1/machines/dm-${id}`);
    const { status } = json as { status: { phase: string; last_error?: string } };
    if (status.phase !== phase) throw new Error(`it is ${JSON.stringify(status)}`);
  }

  /** The machine in the words of the other dialect. */
  info = async (id: string): Promise<Record<string, unknown>> =>
    (await this.nullspace.ask("GET", `/v1/machines/mch_${id}`)).json;
}

/** Where a refused request was wrong. */
export const locations = ({ json }: Answer): string[] =>
  ((json["errors"] ?? []) as { location: string }[]).map(({ location }) => location).sort();
