/** A control plane in this process with the null driver, and a plain HTTP client whose answers are checked. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { LocalOptions } from "../../../local/src/settings";
import { type Local, startLocal } from "../../../local/src/start-local";
import { ContractCheck, dedalusContract } from "../../contracts/contract";
import { removeStateFolder } from "../../support/state-folder";

export interface Answer {
  status: number;
  headers: Headers;
  body: string;
  /** The parsed body. */
  json: Record<string, unknown>;
}

export interface Ask {
  body?: unknown;
  /** Sent as it is, instead of `body`. */
  text?: string;
  headers?: Record<string, string>;
  /** Idempotency key; by default a new one for every mutation, null for none. */
  key?: string | null;
  /** The answer is one that the contract does not list, so that it cannot be checked. */
  undocumented?: boolean;
}

export const smallest = { vcpu: 0.25, memory_mib: 256, storage_gib: 1 };

let keys = 0;
export const newKey = (): string => `test-${String(++keys)}`;

export class Api {
  readonly check = new ContractCheck(dedalusContract());

  constructor(readonly local: Local) {}

  async ask(method: string, path: string, ask: Ask = {}): Promise<Answer> {
    const key = ask.key === undefined && method !== "GET" ? newKey() : ask.key;
    const text = ask.text ?? (ask.body === undefined ? undefined : JSON.stringify(ask.body));
    const response = await fetch(this.local.dedalus + path, {
      method,
      headers: {
        authorization: `Bearer ${this.local.apiKey}`,
        ...(text === undefined ? {} : { "content-type": "application/json" }),
        ...(typeof key === "string" ? { "idempotency-key": key } : {}),
        ...ask.headers,
      },
      ...(text === undefined ? {} : { body: text }),
    });
    const body = await response.text();
    const answer = { status: response.status, headers: response.headers, body };
    if (!answer.headers.get("x-request-id")) throw new Error("the answer has no x-request-id");
    if (!ask.undocumented) this.check.check(method, path.split("?")[0] ?? "", answer);
    return { ...answer, json: JSON.parse(body) as Record<string, unknown> };
  }

  /** A machine that has reached its desired state. */
  async machine(sizes: Record<string, unknown> = {}): Promise<string> {
    const { json } = await this.ask("POST", "/v1/machines", { body: { ...smallest, ...sizes } });
    const id = String(json["machine_id"]);
    await this.settle(id);
    return id;
  }

  /** Reads the status stream to its end; answers the events. */
  async settle(id: string, headers: Record<string, string> = {}): Promise<SeenEvent[]> {
    const response = await fetch(`${this.local.dedalus}/v1/machines/${id}/status/stream`, {
      headers: { authorization: `Bearer ${this.local.apiKey}`, ...headers },
    });
    const events = parseEvents(await response.text());
    for (const event of events.filter(({ name }) => name === "status")) {
      const answer = { status: response.status, headers: response.headers, body: "", data: event.data };
      this.check.check("GET", `/v1/machines/${id}/status/stream`, answer);
    }
    return events;
  }

  phaseOf = async (id: string): Promise<string> => phase((await this.ask("GET", `/v1/machines/${id}`)).json);
}

export const phase = (machine: Record<string, unknown>): string =>
  (machine["status"] as { phase: string }).phase;

export const revision = (machine: Record<string, unknown>): string =>
  (machine["status"] as { revision: string }).revision;

export interface SeenEvent {
  name: string;
  id: string;
  data: Record<string, unknown>;
}

export const parseEvents = (text: string): SeenEvent[] =>
  text
    .split("\n\n")
    .filter((block) => block.startsWith("event:"))
    .map((block) => {
      const [, name = "", id = "", data = "{}"] = /^event: (.*)\nid: (.*)\ndata: (.*)$/.exec(block) ?? [];
      return { name, id, data: JSON.parse(data) as Record<string, unknown> };
    });

/** Starts one in a folder of its own; both are gone after `close`. */
export async function startTestLocal(options: LocalOptions = {}): Promise<Local> {
  const stateDir = mkdtempSync(join(tmpdir(), "machines-local-"));
  const local = await startLocal({ stateDir, port: 0, driver: "null", ...options });
  const close = async () => {
    await local.close();
    await removeStateFolder(stateDir, local.driver);
  };
  return { ...local, close, [Symbol.asyncDispose]: close };
}

/** Waits until something holds that nothing announces; fails with its name after five seconds. */
export async function eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`did not happen within 5 s: ${what}`);
    await sleep(5);
  }
}
