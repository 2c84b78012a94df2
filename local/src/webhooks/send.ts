/** One attempt: the signed request, and what came of it. */
import { createHmac } from "node:crypto";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { packageVersion } from "../version";
import { guardedLookup, checkTarget, TargetRefused, type TargetPolicy } from "./target";
import { Refusal } from "../engine/control-plane";

export interface Delivery {
  id: string;
  eventId: string;
  url: string;
  signingSecret: string;
  /** From 1. */
  attempt: number;
  body: string;
}

export interface AttemptResult {
  /** Null when no answer came. */
  responseStatus: number | null;
  /** Null for success. */
  errorCode: string | null;
  errorMessage: string | null;
}

/** The whole attempt, from the name's resolution to the end of the answer. */
export const attemptTimeoutMs = 10_000;
/** More of an answer is not read: nobody looks at it. */
const maxAnswerBytes = 65_536;

/** `sha256=` and the lower-case hex HMAC-SHA256 of the raw body. */
export const signatureOf = (body: string, secret: string): string =>
  `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;

/** Sends once and never throws; redirects are not followed. */
export async function send(
  delivery: Delivery,
  policy: TargetPolicy,
  signal: AbortSignal,
): Promise<AttemptResult> {
  try {
    const url = checkTarget(delivery.url, policy);
    const status = await post(
      url,
      delivery,
      policy,
      AbortSignal.any([signal, AbortSignal.timeout(attemptTimeoutMs)]),
    );
    if (status >= 200 && status < 300) return { responseStatus: status, errorCode: null, errorMessage: null };
    return {
      responseStatus: status,
      errorCode: status >= 300 && status < 400 ? "redirect_refused" : "http_error",
      errorMessage:
        status >= 300 && status < 400
          ? `answered ${String(status)}: redirects are not followed, give the final URL`
          : `answered ${String(status)}`,
    };
  } catch (error) {
    return { responseStatus: null, ...wordsOf(error) };
  }
}

function wordsOf(error: unknown): { errorCode: string; errorMessage: string } {
  if (error instanceof Refusal || error instanceof TargetRefused) {
    return { errorCode: "target_refused", errorMessage: error.message };
  }
  const { name, code, message } = error as NodeJS.ErrnoException;
  if (name === "TimeoutError") {
    return { errorCode: "timeout", errorMessage: `no answer within ${String(attemptTimeoutMs)} ms` };
  }
  return { errorCode: "connection_failed", errorMessage: code ? `${code}: ${message}` : message };
}

function post(url: URL, delivery: Delivery, policy: TargetPolicy, signal: AbortSignal): Promise<number> {
  const { body, signingSecret } = delivery;
  return new Promise((resolve, reject) => {
    const request = (url.protocol === "http:" ? httpRequest : httpsRequest)(
      url,
      {
        method: "POST",
        // One connection for each attempt: the name is resolved and looked at anew.
        agent: false,
        lookup: guardedLookup(policy),
        signal,
        headers: {
          "content-type": "application/json",
          "content-length": Buffer.byteLength(body),
          "user-agent": `pulumi-machines-local/${packageVersion()}`,
          "x-nullspace-signature": signatureOf(body, signingSecret),
          "x-nullspace-event-id": delivery.eventId,
          "x-nullspace-delivery-id": delivery.id,
          "x-nullspace-delivery-attempt": String(delivery.attempt),
        },
      },
      (response) => {
        let bytes = 0;
        response.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > maxAnswerBytes) response.destroy();
        });
        // The status is the answer, however its body ends.
        response.on("close", () => {
          resolve(response.statusCode ?? 0);
        });
        response.on("error", () => undefined);
      },
    );
    request.on("error", (error) => {
      reject(signal.aborted ? (signal.reason as Error) : error);
    });
    request.end(body);
  });
}
