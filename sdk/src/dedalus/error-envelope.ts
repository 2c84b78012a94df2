/** The two error bodies of DCS, read tolerantly: a missing or odd field never hides the message. Pure. */
import { z } from "zod";
import type { ErrorWords } from "../answer-failure";
import { errorBody, problemBody, type ProblemBody } from "./wire";

const tolerant = errorBody.extend({
  message: z.string().catch(""),
  retryable: z.boolean().optional().catch(undefined),
  retry_after_ms: z.number().nonnegative().optional().catch(undefined),
  details: z.record(z.string(), z.unknown()).optional().catch(undefined),
});

/** Body A (`error_code`), else body B (problem+json), by shape: a proxy may have changed the content type. */
export function readErrorEnvelope(text: string): ErrorWords | undefined {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return undefined; // Not JSON is no envelope; the caller keeps the text.
  }
  const plain = tolerant.safeParse(body);
  if (plain.success) {
    const { error_code: code, message, retryable, retry_after_ms: retryAfterMs, details } = plain.data;
    return { code, message, retryable, retryAfterMs, details: details && asTexts(details) };
  }
  const problem = problemBody.safeParse(body);
  return problem.success ? fromProblem(problem.data) : undefined;
}

function fromProblem(problem: ProblemBody): ErrorWords | undefined {
  const { title, detail } = problem;
  const found = (problem.errors ?? []).map((e) => ({ at: e.location ?? "", text: e.message ?? "" }));
  if (!title && !detail && found.length === 0) return undefined;
  // The rejected values themselves stay out: they may be secrets.
  const list = found.map(({ at, text }) => (at ? `${at}: ${text}` : text)).join("; ");
  const message = [detail ?? title, list].filter((part) => part).join(": ");
  const details = Object.fromEntries(found.filter(({ at }) => at).map(({ at, text }) => [at, text]));
  return Object.keys(details).length > 0 ? { message, details } : { message };
}

const asTexts = (details: Record<string, unknown>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(details).map(([key, value]) => [
      key,
      typeof value === "string" ? value : (JSON.stringify(value) ?? ""),
    ]),
  );
