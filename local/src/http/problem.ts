/** `application/problem+json`, for everything that has no envelope of its own: validation, routing, unexpected faults. */
import type { FastifyReply } from "fastify";

export interface ProblemDetail {
  message: string;
  /** Where: "body.vcpu", "query.limit", "header.Idempotency-Key". */
  location: string;
  value?: unknown;
}

/** Refuses a request with a problem body. */
export class Problem extends Error {
  override readonly name = "Problem";
  constructor(
    readonly status: number,
    detail: string,
    readonly errors: readonly ProblemDetail[] = [],
  ) {
    super(detail);
  }
}

const titles: Record<number, string> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  422: "Unprocessable Entity",
  500: "Internal Server Error",
  501: "Not Implemented",
};

export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  return reply
    .code(problem.status)
    .header("x-should-retry", "false")
    .type("application/problem+json")
    .send(
      JSON.stringify({
        type: "about:blank",
        title: titles[problem.status] ?? "Error",
        status: problem.status,
        detail: problem.message,
        ...(problem.errors.length > 0 ? { errors: problem.errors } : {}),
      }),
    );
}

/** A value may be repeated in an answer when it is short and no structure. */
export const shown = (value: unknown): { value?: unknown } =>
  typeof value === "number" ||
  typeof value === "boolean" ||
  (typeof value === "string" && value.length <= 100)
    ? { value }
    : {};
