/** What the SDK's clients throw, as the port's errors: one rule for every backend. Pure. */
import { MachinesError, NotFoundError } from "@pulumi-machines/sdk";
import { KeyReusedError, MachineGoneError, RefusedError } from "./port";
import { SnapshotGoneError, SnapshotInUseError } from "./snapshot-port";
import { WebhookGoneError } from "./webhook-port";

/** What a call was about. Ids as the port has them. */
export interface CallFacts {
  machineId?: string | undefined;
  snapshotId?: string | undefined;
  webhookId?: string | undefined;
  /** The call carried an idempotency key and made something: a bare `conflict` is about the key. */
  keyed?: boolean;
  /** Appended to the message when nothing answers at the address; default nothing. */
  hint?: string | undefined;
  /** A machine's id as the port has it, from the one that the service has; default the same. */
  fromWire?: ((id: string) => string) | undefined;
}

/** Errors that are not of the SDK, such as a signal's reason, come back as they are. */
export function translateError(error: unknown, facts: CallFacts): unknown {
  if (!(error instanceof MachinesError)) return error;
  const gone = error instanceof NotFoundError ? missing(error, facts) : undefined;
  if (gone) return gone;
  if (error.code === "snapshot_in_use") {
    return new SnapshotInUseError(facts.snapshotId ?? "", usersIn(error, facts), { cause: error });
  }
  if (error.code === "IDEMPOTENCY_KEY_REUSED" || (error.code === "conflict" && facts.keyed)) {
    return new KeyReusedError(error.message, { cause: error });
  }
  return new RefusedError(wordsOf(error, facts.hint), {
    code: otherPhaseCodes.includes(error.code) ? "INVALID_STATE" : error.code,
    retryable: error.retryable || isPassing(error),
    ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
    ...(error.requestId === undefined ? {} : { requestId: error.requestId }),
    cause: error,
  });
}

/** What is not there: what the code names, else what the call was about. */
function missing(error: NotFoundError, facts: CallFacts): Error | undefined {
  const { machineId, snapshotId, webhookId } = facts;
  const options = { cause: error };
  const named = /^([a-z]+)_not_found$/.exec(error.code)?.[1];
  const kind =
    named ??
    (webhookId !== undefined
      ? "webhook"
      : snapshotId !== undefined
        ? "snapshot"
        : machineId !== undefined
          ? "machine"
          : undefined);
  if (kind === "machine") return new MachineGoneError(machineId ?? error.machineId ?? "", options);
  if (kind === "snapshot") return new SnapshotGoneError(snapshotId ?? "", options);
  return kind === "webhook" ? new WebhookGoneError(webhookId ?? "", options) : undefined;
}

/** Nullspace's words for what another phase heals; convergence knows them by the code of Dedalus. */
const otherPhaseCodes: readonly string[] = ["machine_not_ready", "transition_conflict"];

/** The client gave up after its own few tries, or the service is at it still: an operation with minutes to go may try on. */
const isPassing = (error: MachinesError): boolean =>
  error.code === "deadline_exceeded" ||
  error.code === "transition_in_progress" ||
  (error.name === "ConnectionError" && !["client_closed", "tls_untrusted"].includes(error.code));

function usersIn({ details = {} }: MachinesError, { fromWire = (id) => id }: CallFacts): string[] {
  const ids = [details["machine_id"], ...idsIn(details["machine_ids"])];
  return ids.filter((id) => id !== undefined && id !== "").map(fromWire as (id: unknown) => string);
}

/** A list that the client keeps as JSON text. */
function idsIn(text: string | undefined): string[] {
  try {
    const ids: unknown = text === undefined ? [] : JSON.parse(text);
    return Array.isArray(ids) ? ids.map(String) : [];
  } catch {
    return []; // No list: the message has the service's own words.
  }
}

const keyHint =
  "Check the key: pulumi config set --secret machines:apiKey KEY, or the variable MACHINES_API_KEY";

/** The client's words, with what to do in the terms of a Pulumi project. */
function wordsOf({ code, message, status }: MachinesError, hint: string | undefined): string {
  // The client names its own variables.
  if (status === 401) return message.replace(/Check the API key .*$/, keyHint);
  const isUnreachable = code === "connection_refused" || code === "host_not_found";
  return isUnreachable && hint ? `${message}. ${hint}` : message;
}
