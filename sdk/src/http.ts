/**
 * The one request path: auth, deadline, idempotency key, retries, and every failure as a typed error without a key in
 * it. Knows nothing of machines; a vendor's error envelopes and its rules for retries come in as `Manners`.
 */
import { Agent, type Dispatcher } from "undici";
import { answerFailure, requestIdOf, rawBodyLimit, type ErrorManners } from "./answer-failure";
import { readText } from "./body-text";
import { wireRequest, type Call } from "./call";
import { connectionFailure, type Failure } from "./connection-failure";
import { startDeadline, type Deadline } from "./deadline";
import type { Deps } from "./deps";
import { DeadlineError, MachinesError, ProtocolError, type ErrorFacts } from "./errors";
import { redactCause, redactDeep, redactor, type Redact } from "./redact";
import { firstHeader, type Headers, type RetryPolicy } from "./retry-timing";

export const httpDefaults = {
  /** The whole call, all its attempts together. */
  timeoutMs: 60_000,
  connectTimeoutMs: 5_000,
  /** Silence within one attempt, after which it counts as lost. */
  attemptTimeoutMs: 25_000,
  /** The output of a command may be 16 MiB, and a byte of it six in JSON. */
  maxAnswerBytes: 128 * 1024 * 1024,
} as const;

/** How one service answers errors, and how it wants to be asked again. */
export interface Manners extends ErrorManners {
  retry: RetryPolicy;
}

export interface TransportSettings extends Manners {
  /** Without a slash at its end; a path prefix is kept. */
  baseUrl: URL;
  /** Sent with every request: authorization, organization. */
  headers: Readonly<Record<string, string>>;
  secrets: readonly string[];
  timeoutMs: number;
  /** Silence within one attempt, after which it counts as lost, in milliseconds; default 25000. */
  attemptTimeoutMs?: number;
  maxRetries: number;
  /** Open at once for requests, and as many for event streams: more wait for one. Default no limit. */
  maxConnections?: number | undefined;
  /** A longer pause before a retry is left to the caller, in milliseconds; default the policy's own limit. */
  longestWaitMs?: number | undefined;
}

export interface JsonAnswer {
  status: number;
  /** Undefined when the answer has no body. */
  body: unknown;
  requestId?: string;
  /** Those of `Call.keepHeaders` that came. */
  headers?: Readonly<Record<string, string>>;
}

export interface StreamAnswer {
  body: Dispatcher.ResponseData["body"];
  /** True when an end without an error is known to be the real end, not a cut. */
  endIsCertain: boolean;
  requestId?: string;
}

export interface BytesAnswer {
  body: Dispatcher.ResponseData["body"];
  /** Undefined when the answer comes in chunks. */
  sizeBytes?: number;
  requestId?: string;
}

type Result<T> = { value: T } | Failure;
type Response = Dispatcher.ResponseData;

interface Limits {
  bodyTimeout?: number;
  /** Default that of requests. */
  agent?: Agent;
}

export class Transport {
  readonly redact: Redact;
  readonly maxRetries: number;
  readonly deps: Deps;
  // Not shown when somebody prints a client: these hold the keys.
  readonly #settings: TransportSettings;
  readonly #requests: Agent;
  /** Apart from the requests: streams stay open, and a request must not wait for the end of one. */
  readonly #streams: Agent;
  readonly #lastFailure = new WeakMap<AbortSignal, MachinesError>();

  constructor(settings: TransportSettings, deps: Deps) {
    this.#settings = settings;
    this.deps = deps;
    const connections = settings.maxConnections ?? null;
    const connect = { timeout: httpDefaults.connectTimeoutMs };
    this.#requests = new Agent({ connect, connections });
    this.#streams = new Agent({ connect, connections });
    this.maxRetries = settings.maxRetries;
    this.redact = redactor(settings.secrets);
  }

  /** A request whose answer is one JSON document. */
  async json(call: Call): Promise<JsonAnswer> {
    const deadline = this.startDeadline(call);
    try {
      return await this.send(call, deadline, {}, (response) => this.readJson(call, response));
    } finally {
      deadline.dispose();
    }
  }

  /** A request whose answer is an event stream; the time limit ends with its headers, the signal stays. */
  async stream(call: Call): Promise<StreamAnswer> {
    const limits = { bodyTimeout: 0, agent: this.#streams };
    return this.open(call, limits, (response) => this.openStream(call, response));
  }

  /** A request whose answer is bytes; the time limit ends with its headers, the signal and the limit of silence stay. */
  async bytes(call: Call): Promise<BytesAnswer> {
    return this.open(call, {}, ({ body, headers }) => {
      // A download that is given up raises an error that nobody waits for any more.
      body.on("error", () => undefined);
      const size = firstHeader(headers, "content-length");
      const requestId = requestIdOf(headers);
      return {
        value: {
          body,
          ...(size !== undefined && /^\d+$/.test(size) ? { sizeBytes: Number(size) } : {}),
          ...(requestId === undefined ? {} : { requestId }),
        },
      };
    });
  }

  private async open<T extends { body: Dispatcher.ResponseData["body"] }>(
    call: Call,
    limits: Limits,
    accept: (response: Response) => Result<T>,
  ): Promise<T> {
    const deadline = this.startDeadline(call);
    try {
      const answer = await this.send(call, deadline, limits, async (response) => accept(response));
      deadline.stopClock();
      answer.body.once("close", () => deadline.dispose());
      return answer;
    } catch (error) {
      deadline.dispose();
      throw error;
    }
  }

  /** Ends every connection at once; what is under way fails with `client_closed`. */
  async close(): Promise<void> {
    await Promise.all([this.#requests.destroy(), this.#streams.destroy()]);
  }

  /** An error of this client, with the keys taken out of all that it says. */
  error<E extends MachinesError>(kind: new (facts: ErrorFacts) => E, facts: ErrorFacts): E {
    const { cause, ...rest } = facts;
    return new kind({ ...redactDeep(rest, this.redact), cause: redactCause(cause, this.redact) });
  }

  /** What the HTTP library threw while this call's answer was being read, as a typed error. */
  connectionFailure(thrown: unknown, call: Pick<Call, "what" | "machineId">): MachinesError {
    return this.clean(connectionFailure(thrown, this.about(call), this.#settings.advice).error);
  }

  private clean(error: MachinesError): MachinesError {
    return this.error(error.constructor as new (facts: ErrorFacts) => MachinesError, {
      ...error,
      message: error.message,
      cause: error.cause,
    });
  }

  private async send<T>(
    call: Call,
    deadline: Deadline,
    { agent = this.#requests, ...limits }: Limits,
    accept: (response: Response) => Promise<Result<T>>,
  ): Promise<T> {
    const { baseUrl, headers } = this.#settings;
    const silenceMs =
      call.attemptTimeoutMs ?? this.#settings.attemptTimeoutMs ?? httpDefaults.attemptTimeoutMs;
    const request = {
      ...wireRequest(call, baseUrl, headers, this.deps.now()),
      headersTimeout: silenceMs,
      bodyTimeout: silenceMs,
      ...limits,
      signal: deadline.signal,
    };
    const maxRetries = call.maxRetries ?? this.#settings.maxRetries;
    const policy = call.retry ?? this.#settings.retry;
    let limited = 0;
    for (let number = 0; ; number++) {
      deadline.signal.throwIfAborted();
      const body = call.content?.open() ?? request.body;
      const result = await this.attempt(call, agent, { ...request, body: body ?? null }, accept);
      if ("value" in result) return result.value;
      const error = this.clean(result.error);
      this.#lastFailure.set(deadline.signal, error);
      deadline.signal.throwIfAborted();
      const remainingMs = deadline.remainingMs();
      const attempt = { number, limited, maxRetries, remainingMs, repeatable: true };
      const delayMs = policy.delay(result.outcome, attempt, this.deps.random());
      if (delayMs === undefined || delayMs > (this.#settings.longestWaitMs ?? Infinity)) throw error;
      limited = error.status === 429 ? limited + 1 : 0;
      const count = `attempt ${String(number + 1)}`;
      this.deps.log(`${error.message} [${error.code}; ${count}, again in ${String(delayMs)} ms]`);
      await this.deps.sleep(delayMs, deadline.signal);
    }
  }

  private async attempt<T>(
    call: Call,
    agent: Agent,
    request: Dispatcher.RequestOptions,
    accept: (response: Response) => Promise<Result<T>>,
  ): Promise<Result<T>> {
    try {
      const response = await agent.request(request);
      if (response.statusCode >= 200 && response.statusCode < 300) return await accept(response);
      const { text } = await readText(response.body, rawBodyLimit, this.redact);
      return answerFailure(
        { ...this.about(call), status: response.statusCode, headers: response.headers, text },
        this.#settings,
        this.deps.now(),
      );
    } catch (thrown) {
      // A body that the caller streams can break by itself.
      if (thrown instanceof MachinesError) return { error: thrown, outcome: { kind: "final" } };
      return connectionFailure(thrown, this.about(call), this.#settings.advice);
    }
  }

  private async readJson(call: Call, response: Response): Promise<Result<JsonAnswer>> {
    const { statusCode: status, headers } = response;
    const requestId = requestIdOf(headers);
    const kept = (call.keepHeaders ?? []).map((name) => [name, firstHeader(headers, name)] as const);
    const answer = {
      status,
      ...(requestId === undefined ? {} : { requestId }),
      ...(kept.some(([, value]) => value !== undefined)
        ? {
            headers: Object.fromEntries(
              kept.filter((pair): pair is [string, string] => pair[1] !== undefined),
            ),
          }
        : {}),
    };
    const { text, cut } = await readText(response.body, httpDefaults.maxAnswerBytes);
    const about = { ...this.about(call), status, requestId };
    if (cut) {
      const limit = `${String(httpDefaults.maxAnswerBytes / 1024 / 1024)} MiB`;
      const message = `${about.trying}: the answer is larger than ${limit}. Ask for less, such as a smaller page.`;
      const error = new ProtocolError({ ...about, message, code: "answer_too_large" });
      return { error, outcome: { kind: "final" } };
    }
    if (text === "") return { value: { ...answer, body: undefined } };
    try {
      return { value: { ...answer, body: JSON.parse(text) as unknown } };
    } catch {
      // The parser's own message quotes the body, and a quote can cut a key in half.
      const message = `${about.trying}: answered ${String(status)} with a body that is not JSON`;
      const rawBody = this.redact(text).slice(0, rawBodyLimit);
      const error = new ProtocolError({ ...about, message, code: "unreadable_answer", rawBody });
      // Without a length nobody can tell a cut answer from a whole one.
      return { error, outcome: { kind: firstHeader(headers, "content-length") ? "final" : "lost" } };
    }
  }

  private openStream(call: Call, response: Response): Result<StreamAnswer> {
    const { body, headers, statusCode: status } = response;
    const requestId = requestIdOf(headers);
    // A stream that is given up raises an error that nobody waits for any more.
    body.on("error", () => undefined);
    if (firstHeader(headers, "content-type")?.split(";")[0]?.trim().toLowerCase() !== "text/event-stream") {
      body.destroy();
      const about = this.about(call);
      const message = `${about.trying}: answered ${String(status)} with something that is no event stream`;
      const error = new ProtocolError({ ...about, message, status, requestId, code: "no_event_stream" });
      return { error, outcome: { kind: "final" } };
    }
    const endIsCertain = hasCertainEnd(headers);
    return { value: requestId === undefined ? { body, endIsCertain } : { body, endIsCertain, requestId } };
  }

  private startDeadline(call: Call): Deadline {
    const timeoutMs = call.options?.timeoutMs ?? this.#settings.timeoutMs;
    const deadline: Deadline = startDeadline({
      outer: call.options?.signal,
      timeoutMs,
      now: () => this.deps.now(),
      onExpiry: () => {
        const cause = this.#lastFailure.get(deadline.signal);
        const last = cause ? ` The last failure: ${cause.message}` : "";
        const { trying, machineId } = this.about(call);
        const message = `${trying}: no answer within ${String(timeoutMs)} ms.${last}`;
        return this.error(DeadlineError, {
          message,
          code: "deadline_exceeded",
          machineId,
          retryable: true,
          cause,
        });
      },
    });
    return deadline;
  }

  private about(call: Pick<Call, "what" | "machineId">): { trying: string; machineId?: string } {
    const { origin, pathname } = this.#settings.baseUrl;
    const trying = `${call.what} at ${origin}${pathname.replace(/\/+$/, "")}`;
    return call.machineId === undefined ? { trying } : { trying, machineId: call.machineId };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Only chunks on a connection that stays open end visibly; otherwise a cut looks like the end. */
const hasCertainEnd = (headers: Headers): boolean =>
  /chunked/i.test(firstHeader(headers, "transfer-encoding") ?? "") &&
  !/close/i.test(firstHeader(headers, "connection") ?? "");
