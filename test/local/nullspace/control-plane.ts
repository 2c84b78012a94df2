/** A plain HTTP client of the Nullspace dialect whose every answer is checked against the contract. */
import type { Local } from "../../../local/src/start-local";
import { ContractCheck, nullspaceContract } from "../../contracts/contract";

export { eventually, parseEvents, startTestLocal, type SeenEvent } from "../dedalus/control-plane";

export interface Answer {
  status: number;
  headers: Headers;
  body: string;
  /** The parsed body; undefined where there is none. */
  json: Record<string, unknown>;
}

export interface Ask {
  body?: unknown;
  /** Sent as it is, instead of `body`. */
  text?: string;
  headers?: Record<string, string>;
  /** Idempotency key; by default a new one for every mutation, null for none. */
  key?: string | null;
  /** The answer is one that the contract does not have, such as a part of an object. */
  undocumented?: boolean;
  signal?: AbortSignal;
}

let keys = 0;
export const newKey = (): string => `test-${String(++keys)}`;

/** Small, and never ended by its own limits within a test. */
export const plain = { vcpus: 1, memory_mb: 256, timeout_ms: 3_600_000 };

export class Api {
  readonly check = new ContractCheck(nullspaceContract());

  constructor(readonly local: Local) {}

  async ask(method: string, path: string, ask: Ask = {}): Promise<Answer> {
    const key = ask.key === undefined && method !== "GET" ? newKey() : ask.key;
    const text = ask.text ?? (ask.body === undefined ? undefined : JSON.stringify(ask.body));
    const response = await fetch(this.local.nullspace + path, {
      method,
      headers: {
        authorization: `Bearer ${this.local.apiKey}`,
        ...(text === undefined ? {} : { "content-type": "application/json" }),
        ...(typeof key === "string" ? { "idempotency-key": key } : {}),
        ...ask.headers,
      },
      ...(text === undefined ? {} : { body: text }),
      ...(ask.signal ? { signal: ask.signal } : {}),
    });
    const body = await response.text();
    const answer = { status: response.status, headers: response.headers, body };
    const requestId = answer.headers.get("x-request-id");
    if (!requestId) throw new Error("the answer has no x-request-id");
    if (!ask.undocumented) this.check.check(method, path.split("?")[0] ?? "", answer);
    const json = body === "" ? undefined : (JSON.parse(body) as Record<string, unknown>);
    if (response.status >= 400 && json?.["request_id"] !== requestId) {
      throw new Error(`an error names its request: ${body}`);
    }
    return { ...answer, json: json ?? {} };
  }

  /** A machine that runs; answers its id. */
  async machine(fields: Record<string, unknown> = {}): Promise<string> {
    const answer = await this.ask("POST", "/v1/machines", { body: { ...plain, ...fields } });
    if (answer.status !== 201) throw new Error(`${String(answer.status)} ${answer.body}`);
    return String(answer.json["id"]);
  }

  statusOf = async (id: string): Promise<unknown> =>
    (await this.ask("GET", `/v1/machines/${id}`)).json["status"];

  /** The items of a list, bare or a page. */
  async list(query = ""): Promise<Record<string, unknown>[]> {
    const { json, body, status } = await this.ask("GET", `/v1/machines${query}`);
    if (status !== 200) throw new Error(`${String(status)} ${body}`);
    return (Array.isArray(json) ? json : json["items"]) as Record<string, unknown>[];
  }
}

/** [status, code] of an answer, for short expectations. */
export const told = ({ status, json }: Answer): [number, unknown] => [status, json["code"]];

/** Where a refused request was wrong. */
export const locations = ({ json }: Answer): string[] =>
  ((json["details"] as { errors: { location: string }[] } | undefined)?.errors ?? [])
    .map(({ location }) => location)
    .sort();
