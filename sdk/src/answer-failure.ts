/** An error answer (status 300 and above) as a typed error. Pure; the vendor's envelopes come in as a reader. */
import { AnswerError, NotFoundError, ProtocolError, type ErrorFacts } from "./errors";
import type { Failure } from "./connection-failure";
import {
  firstHeader,
  mayRetry,
  retryAfterOf,
  shouldRetryOf,
  type Headers,
  type Outcome,
} from "./retry-timing";

/** What a vendor's error body says, in our terms. */
export interface ErrorWords {
  code?: string | undefined;
  message: string;
  retryable?: boolean | undefined;
  retryAfterMs?: number | undefined;
  details?: Record<string, string> | undefined;
}

/** Reads a vendor's error body; undefined when it is in no format that the vendor documents. */
export type ErrorReader = (text: string) => ErrorWords | undefined;

/** Raw text kept of a body in no known format, in characters. */
export const rawBodyLimit = 64 * 1024;

export interface ErrorAnswer {
  /** Such as `create a machine at http://127.0.0.1:4590/dedalus`. */
  trying: string;
  machineId?: string | undefined;
  status: number;
  headers: Headers;
  /** At most `rawBodyLimit` characters. */
  text: string;
}

export const requestIdOf = (headers: Headers): string | undefined =>
  firstHeader(headers, "x-request-id") ?? firstHeader(headers, "request-id");

export function answerFailure(answer: ErrorAnswer, read: ErrorReader, nowMs: number): Failure {
  const { trying, machineId, status, headers, text } = answer;
  const requestId = requestIdOf(headers);
  if (status < 400) return { error: redirectError(answer, requestId), outcome: { kind: "final" } };
  const words = read(text);
  const outcome: Outcome = {
    kind: "answered",
    status,
    code: words?.code,
    shouldRetry: shouldRetryOf(headers),
    bodyRetryable: words?.retryable,
    retryAfterMs: words?.retryAfterMs ?? retryAfterOf(headers, nowMs),
  };
  const code = words?.code ?? `http_${String(status)}`;
  const said = words ? `${codeIn(words)}${words.message}` : `in no known format: ${excerpt(text)}`;
  const facts: ErrorFacts = {
    message:
      `${trying}: answered ${String(status)} ${said}` +
      (requestId ? ` (request id ${requestId})` : "") +
      nextStep(status, code),
    code,
    machineId,
    status,
    retryable: words?.retryable ?? mayRetry(outcome, true),
    retryAfterMs: outcome.retryAfterMs,
    details: words?.details,
    requestId,
    rawBody: words ? undefined : text,
  };
  return { error: status === 404 ? new NotFoundError(facts) : new AnswerError(facts), outcome };
}

const codeIn = (words: ErrorWords): string => (words.code ? `${words.code}: ` : "");

const excerpt = (text: string): string =>
  text.trim() === "" ? "an empty body" : JSON.stringify(text.slice(0, 200));

function nextStep(status: number, code: string): string {
  if (code === "REVISION_MISMATCH")
    return ". Read the machine again, decide again, then send its new revision.";
  if (status === 401) return ". Check the API key (DEDALUS_API_KEY or DEDALUS_X_API_KEY).";
  if (status === 403) return ". Check what the API key may do, and the organization (DEDALUS_ORG_ID).";
  return "";
}

function redirectError(
  { trying, machineId, status, headers }: ErrorAnswer,
  requestId?: string,
): ProtocolError {
  const location = firstHeader(headers, "location");
  return new ProtocolError({
    // Following it would hand the key to whoever the answer names, and turns a POST into a GET.
    message:
      `${trying}: answered with a redirect (${String(status)}${location ? ` to ${location.slice(0, 200)}` : ""}), ` +
      `which is refused because the key would go with it. Set the base URL to the API itself.`,
    code: "redirect_refused",
    machineId,
    status,
    requestId,
  });
}
