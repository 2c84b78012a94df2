/** The error bodies of Nullspace, flat and nested, read tolerantly: an odd member never hides the message. Pure. */
import { z } from "zod";
import type { ErrorWords } from "../answer-failure";

const members = {
  code: z.string().optional().catch(undefined),
  request_id: z.string().optional().catch(undefined),
  retryable: z.boolean().optional().catch(undefined),
  suggested_action: z.string().optional().catch(undefined),
  details: z.record(z.string(), z.unknown()).optional().catch(undefined),
  error_detail: z.record(z.string(), z.unknown()).optional().catch(undefined),
};
const flat = z.looseObject({ ...members, error: z.string().optional().catch(undefined) });
const nested = z.looseObject({
  ...members,
  error: z.looseObject({ ...members, message: z.string().catch("no message") }),
});

/** Undefined when the body is no such envelope; codes are lower-cased, as in the vendor's client. */
export function readErrorEnvelope(text: string): ErrorWords | undefined {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return undefined; // Not JSON is no envelope; the caller keeps the text.
  }
  const deep = nested.safeParse(body);
  if (deep.success) return words(deep.data.error.message, deep.data.error, deep.data);
  const plain = flat.safeParse(body);
  if (!plain.success || (plain.data.error === undefined && plain.data.code === undefined)) return undefined;
  return words(plain.data.error ?? "no message", plain.data, plain.data);
}

type Members = { [K in keyof typeof members]?: z.infer<(typeof members)[K]> };

function words(message: string, inner: Members, outer: Members): ErrorWords {
  const detail = inner.error_detail ?? outer.error_detail;
  const details: Record<string, unknown> = { ...(inner.details ?? outer.details), ...detail };
  return {
    code: (inner.code ?? outer.code)?.toLowerCase(),
    message,
    retryable: inner.retryable ?? outer.retryable ?? booleanOf(detail?.retryable),
    requestId: inner.request_id ?? outer.request_id,
    suggestedAction: inner.suggested_action ?? outer.suggested_action,
    machineId: typeof details.machine_id === "string" ? details.machine_id : undefined,
    details: Object.keys(details).length > 0 ? asTexts(details) : undefined,
  };
}

const booleanOf = (value: unknown): boolean | undefined => (typeof value === "boolean" ? value : undefined);

const asTexts = (details: Record<string, unknown>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(details).map(([key, value]) => [
      key,
      typeof value === "string" ? value : (JSON.stringify(value) ?? ""),
    ]),
  );
