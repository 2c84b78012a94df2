/** From the transport's answers to typed values: the schema check, path segments, arguments. */
import type { z } from "zod";
import { ProtocolError, UsageError } from "./errors";
import type { Call } from "./call";
import type { JsonAnswer, Transport } from "./http";

/** Sends and reads. @throws ProtocolError `unexpected_answer` */
export async function fetchValue<T>(
  transport: Transport,
  schema: z.ZodType<T>,
  call: Call,
): Promise<{ value: T; answer: JsonAnswer }> {
  const answer = await transport.json(call);
  return { value: parseAnswer(transport, schema, answer, call), answer };
}

/** Sends and reads; the request id of the answer goes into the value. @throws ProtocolError `unexpected_answer` */
export async function fetchAs<T extends object>(
  transport: Transport,
  schema: z.ZodType<T>,
  call: Call,
): Promise<T & { requestId?: string }> {
  const { value, answer } = await fetchValue(transport, schema, call);
  return answer.requestId === undefined ? value : { ...value, requestId: answer.requestId };
}

function parseAnswer<T>(transport: Transport, schema: z.ZodType<T>, answer: JsonAnswer, call: Call): T {
  const parsed = schema.safeParse(answer.body);
  if (parsed.success) return parsed.data;
  throw transport.error(ProtocolError, {
    message:
      `${call.what}: answered ${String(answer.status)} with a body that is not what the API documents: ` +
      `${issues(parsed.error)}. Check that the base URL names the machine API.`,
    code: "unexpected_answer",
    status: answer.status,
    requestId: answer.requestId,
    machineId: call.machineId,
    rawBody: (JSON.stringify(answer.body) ?? "").slice(0, 4_096),
  });
}

export const issues = (error: z.ZodError): string =>
  error.issues
    .map(({ path, message }) => (path.length > 0 ? `${path.join(".")}: ${message}` : message))
    .join("; ");

/** One path segment. @throws UsageError `invalid_argument` for what would name another path */
export function segment(what: string, id: string): string {
  if (id !== "" && id !== "." && id !== "..") return encodeURIComponent(id);
  throw new UsageError({
    message: `the ${what} is ${JSON.stringify(id)}, which is no id`,
    code: "invalid_argument",
  });
}

/** A request body that the API accepts. @throws UsageError `invalid_argument`, naming each field */
export function requestBody<T>(what: string, schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new UsageError({ message: `${what}: ${issues(parsed.error)}`, code: "invalid_argument" });
}
