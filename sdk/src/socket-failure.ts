/** What can go wrong with a WebSocket, as typed errors: refused upgrades, broken frames, closes. Pure. */
import { answerFailure, type ErrorAnswer, type ErrorManners } from "./answer-failure";
import { connectionFailure, type FailedCall } from "./connection-failure";
import { ConnectionError, ProtocolError, type ErrorFacts, type MachinesError } from "./errors";
import { redactCause, redactDeep, type Redact } from "./redact";

/** Why one try to open a socket failed. */
export interface OpenFailure {
  error: MachinesError;
  /** True when another try may help: no connection, or an answer of 500 and above but 501. */
  passing: boolean;
}

/** The service answered the upgrade with something else than 101. */
export function refusedUpgrade(answer: ErrorAnswer, manners: ErrorManners, nowMs: number): OpenFailure {
  const { status, trying, machineId } = answer;
  if (status < 300) {
    const message =
      `${trying}: answered ${String(status)} where a WebSocket was asked for. ` +
      "Check that the base URL names the API and that no proxy on the way removes upgrades.";
    const error = new ProtocolError({ message, code: "no_web_socket", status, machineId });
    return { error, passing: false };
  }
  const { error } = answerFailure(answer, manners, nowMs);
  return { error, passing: status >= 500 && status !== 501 };
}

/** Nothing that can be read as an answer came. */
export function failedOpening(thrown: unknown, call: FailedCall, manners: ErrorManners): OpenFailure {
  if (isBrokenUpgrade(thrown)) {
    const message = `${call.trying}: the answer to the upgrade is no WebSocket (${thrown.message}). Check the base URL.`;
    const error = new ProtocolError({
      message,
      code: "no_web_socket",
      machineId: call.machineId,
      cause: thrown,
    });
    return { error, passing: false };
  }
  const { error, outcome } = connectionFailure(thrown, call, manners.advice);
  return { error, passing: outcome.kind !== "final" };
}

export const openingTimedOut = ({ trying, machineId }: FailedCall, timeoutMs: number): OpenFailure => ({
  error: new ConnectionError({
    message: `${trying}: no WebSocket was opened within ${String(timeoutMs)} ms`,
    code: "connect_timeout",
    machineId,
    retryable: true,
  }),
  passing: true,
});

/** The library's words for a 101 that does not keep to the protocol. */
const isBrokenUpgrade = (thrown: unknown): thrown is Error =>
  thrown instanceof Error &&
  /^(Invalid (Upgrade|Sec-WebSocket|subprotocol)|Server sent (an invalid|a) |Unexpected server)/i.test(
    thrown.message,
  );

/** An open socket broke: a frame against the protocol, or the connection under it. */
export function brokenSocket(
  thrown: Error,
  call: FailedCall,
  maxFrameBytes: number,
  manners: ErrorManners,
): MachinesError {
  const { trying, machineId } = call;
  const { code } = thrown as NodeJS.ErrnoException;
  if (code === "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH") {
    const message = `${trying}: the service sent a frame larger than ${String(maxFrameBytes)} bytes`;
    return new ProtocolError({ message, code: "frame_too_large", machineId, cause: thrown });
  }
  if (code?.startsWith("WS_ERR_")) {
    const message = `${trying}: the service sent a frame against the WebSocket protocol (${thrown.message})`;
    return new ProtocolError({ message, code: "unreadable_frame", machineId, cause: thrown });
  }
  return connectionFailure(thrown, call, manners.advice).error;
}

/** RFC 6455 section 7.4.1: the connection ended without a close frame. */
export const noCloseFrame = 1006;

/** The socket is closed, and not by us; `details.closeCode` is the code of the close frame, where one came. */
export function closedSocket(
  { trying, machineId }: FailedCall,
  code: number,
  reason: string,
): ConnectionError {
  if (code === noCloseFrame) {
    const message = `${trying}: the connection broke`;
    return new ConnectionError({ message, code: "connection_lost", machineId, retryable: true });
  }
  const said = reason === "" ? "" : `: ${reason.slice(0, 200)}`;
  return new ConnectionError({
    message: `${trying}: the service closed the socket (${String(code)}${said})`,
    code: "socket_closed",
    machineId,
    retryable: true,
    details: { closeCode: String(code), ...(reason === "" ? {} : { closeReason: reason }) },
  });
}

export const closedHere = ({ trying, machineId }: FailedCall): ConnectionError =>
  new ConnectionError({
    message: `${trying}: the socket was closed here`,
    code: "client_closed",
    machineId,
  });

export const silentSocket = ({ trying, machineId }: FailedCall, silentMs: number): ConnectionError =>
  new ConnectionError({
    message: `${trying}: the service did not answer a ping within ${String(silentMs)} ms`,
    code: "socket_silent",
    machineId,
    retryable: true,
  });

/** The same error with the keys taken out of all that it says. */
export function withoutSecrets(error: MachinesError, redact: Redact): MachinesError {
  const kind = error.constructor as new (facts: ErrorFacts) => MachinesError;
  const facts: ErrorFacts = { ...error, message: error.message };
  return new kind({ ...redactDeep(facts, redact), cause: redactCause(error.cause, redact) });
}
