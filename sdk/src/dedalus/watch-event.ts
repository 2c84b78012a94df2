/** One event of the status stream: a view, a reason to give up, or nothing to us. */
import { AnswerError, ProtocolError } from "../errors";
import type { Transport } from "../http";
import type { ServerEvent } from "../sse";
import { issues } from "../answers";
import { readErrorEnvelope } from "./error-envelope";
import { machineAnswer, type Machine } from "./wire";

/**
 * The view of a `status` event; undefined for bookmarks and for names that this version does not know.
 * @throws AnswerError for an `error` event · ProtocolError `unreadable_event`
 */
export function readStatusEvent(
  transport: Transport,
  machineId: string,
  event: ServerEvent,
): Machine | undefined {
  const trying = `watch machine ${machineId}`;
  if (event.event === "error") {
    const words = readErrorEnvelope(event.data);
    const said = words ? `${words.code ? `${words.code}: ` : ""}${words.message}` : event.data.slice(0, 200);
    throw transport.error(AnswerError, {
      message: `${trying}: the service ended the stream with an error: ${said}`,
      code: words?.code ?? "stream_error",
      machineId,
      retryable: words?.retryable,
      retryAfterMs: words?.retryAfterMs,
      details: words?.details,
      rawBody: words ? undefined : event.data.slice(0, 65_536),
    });
  }
  if (event.event !== "status") return undefined;
  const parsed = machineAnswer.safeParse(parseJson(event.data));
  if (parsed.success) return parsed.data;
  throw transport.error(ProtocolError, {
    message: `${trying}: a status event is not what the API documents: ${issues(parsed.error)}`,
    code: "unreadable_event",
    machineId,
    rawBody: event.data.slice(0, 65_536),
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // The schema then says that no object came.
  }
}
