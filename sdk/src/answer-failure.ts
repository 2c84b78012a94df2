/** An error answer (status 300 and above) as a typed error. Pure; the vendor's envelopes come in as a reader. */
import type { Advice } from "./advice";
import { AnswerError, NotFoundError, ProtocolError, type ErrorFacts, type MachinesError } from "./errors";
import type { Failure } from "./connection-failure";
import {
  firstHeader,
  retryAfterOf,
  shouldRetryOf,
  type Headers,
  type Outcome,
  type RetryPolicy,
} from "./retry-timing";

/** What a vendor's error body says, in our terms. */
export interface ErrorWords {
  code?: string | undefined;
  message: string;
  retryable?: boolean | undefined;
  retryAfterMs?: number | undefined;
  details?: Record<string, string> | undefined;
  /** Where the body names the request; else a header does. */
  requestId?: string | undefined;
  suggestedAction?: string | undefined;
  /** Where the body names a machine that the call did not: one that a create has made and that failed. */
  machineId?: string | undefined;
}

/** Reads a vendor's error body; undefined when it is in no format that the vendor documents. */
export type ErrorReader = (text: string) => ErrorWords | undefined;

/** How one service's error answers are read and worded. */
export interface ErrorManners {
  readError: ErrorReader;
  /** The class for a code and status. */
  errorClass: (code: string, status: number) => new (facts: ErrorFacts) => MachinesError;
  /** The code of an answer that names none; default `http_<status>`. */
  codeless?: string;
  advice: Advice;
  retry: Pick<RetryPolicy, "mayHelp">;
}

/** Not found by its status, anything else by its code. */
export const errorClassByStatus = (
  _code: string,
  status: number,
): new (facts: ErrorFacts) => MachinesError => (status === 404 ? NotFoundError : AnswerError);

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

export function answerFailure(answer: ErrorAnswer, manners: ErrorManners, nowMs: number): Failure {
  const { trying, machineId, status, headers, text } = answer;
  const headerId = requestIdOf(headers);
  if (status < 400) return { error: redirectError(answer, headerId), outcome: { kind: "final" } };
  const words = manners.readError(text);
  const requestId = words?.requestId ?? headerId;
  const outcome: Outcome = {
    kind: "answered",
    status,
    code: words?.code,
    shouldRetry: shouldRetryOf(headers),
    bodyRetryable: words?.retryable,
    retryAfterMs: words?.retryAfterMs ?? retryAfterOf(headers, nowMs),
  };
  const code = words?.code ?? manners.codeless ?? `http_${String(status)}`;
  const said = words ? `${codeIn(words)}${words.message}` : `in no known format: ${excerpt(text)}`;
  const facts: ErrorFacts = {
    message:
      `${trying}: answered ${String(status)} ${said}` +
      (requestId ? ` (request id ${requestId})` : "") +
      nextStep(status, code, words?.suggestedAction, manners.advice),
    code,
    machineId: machineId ?? words?.machineId,
    status,
    retryable: words?.retryable ?? manners.retry.mayHelp(outcome),
    retryAfterMs: outcome.retryAfterMs,
    details: words?.details,
    requestId,
    suggestedAction: words?.suggestedAction,
    rawBody: words ? undefined : text,
  };
  return { error: new (manners.errorClass(code, status))(facts), outcome };
}

const codeIn = (words: ErrorWords): string => (words.code ? `${words.code}: ` : "");

const excerpt = (text: string): string =>
  text.trim() === "" ? "an empty body" : JSON.stringify(text.slice(0, 200));

function nextStep(status: number, code: string, suggested: string | undefined, advice: Advice): string {
  if (suggested !== undefined && suggested !== "") return `. ${suggested}`;
  if (code === "REVISION_MISMATCH")
    return ". Read the machine again, decide again, then send its new revision.";
  if (status === 401) return `. ${advice.checkKey}`;
  if (status === 403) return `. ${advice.checkAccess}`;
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
