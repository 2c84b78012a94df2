/** What the HTTP library throws, as one of our errors and an outcome for the retry policy. Pure. */
import type { Advice } from "./advice";
import { ConnectionError, ProtocolError, type MachinesError } from "./errors";
import type { Outcome } from "./retry-timing";

export interface Failure {
  error: MachinesError;
  outcome: Outcome;
}

interface Kind {
  code: string;
  kind: Exclude<Outcome["kind"], "answered">;
  say: string;
  next?: string | typeof checkUrl;
}

/** Stands for the service's own advice. */
const checkUrl = Symbol("checkUrl");
const unreachable: Kind = {
  code: "unreachable",
  kind: "unreached",
  say: "there is no route to it",
  next: "Check the network.",
};
const lost: Kind = {
  code: "connection_lost",
  kind: "lost",
  say: "the connection broke before the whole answer came",
};
const silent: Kind = { code: "answer_timeout", kind: "lost", say: "no answer came in time" };
const closed: Kind = { code: "client_closed", kind: "final", say: "this client was closed" };

const kinds: Readonly<Record<string, Kind>> = {
  ECONNREFUSED: {
    code: "connection_refused",
    kind: "unreached",
    say: "nothing accepts connections there",
    next: checkUrl,
  },
  ENOTFOUND: {
    code: "host_not_found",
    kind: "unreached",
    say: "its host name has no address",
    next: checkUrl,
  },
  EAI_AGAIN: {
    code: "host_not_found",
    kind: "unreached",
    say: "the name service gave no answer",
    next: "Check the network.",
  },
  UND_ERR_CONNECT_TIMEOUT: {
    code: "connect_timeout",
    kind: "unreached",
    say: "it did not accept the connection in time",
    next: checkUrl,
  },
  EHOSTUNREACH: unreachable,
  ENETUNREACH: unreachable,
  ENETDOWN: unreachable,
  EADDRNOTAVAIL: unreachable,
  ECONNRESET: lost,
  ECONNABORTED: lost,
  EPIPE: lost,
  ETIMEDOUT: lost,
  UND_ERR_SOCKET: lost,
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: lost,
  HPE_INVALID_EOF_STATE: lost,
  HPE_CLOSED_CONNECTION: lost,
  UND_ERR_HEADERS_TIMEOUT: silent,
  UND_ERR_BODY_TIMEOUT: silent,
  UND_ERR_DESTROYED: closed,
  UND_ERR_CLOSED: closed,
};

const untrusted: Kind = {
  code: "tls_untrusted",
  kind: "final",
  say: "its certificate is not trusted",
  next: "Set NODE_EXTRA_CA_CERTS to the file of your certificate authority, or correct the base URL.",
};

export interface FailedCall {
  /** Such as `create a machine at http://127.0.0.1:4590/dedalus`. */
  trying: string;
  machineId?: string | undefined;
}

export function connectionFailure(
  thrown: unknown,
  { trying, machineId }: FailedCall,
  advice: Pick<Advice, "checkUrl">,
): Failure {
  const raw = codeOf(thrown) || (isCutAnswer(thrown) ? "HPE_INVALID_EOF_STATE" : "");
  const known = kinds[raw] ?? (isCertificateCode(raw) ? untrusted : undefined);
  const at = { machineId, cause: thrown };
  if (known) {
    // A connect that timed out in the kernel never sent a byte.
    const kind = raw === "ETIMEDOUT" && syscallOf(thrown) === "connect" ? "unreached" : known.kind;
    const step = known.next === checkUrl ? advice.checkUrl : known.next;
    const next = step === undefined ? "" : ` ${step}`;
    return {
      error: new ConnectionError({
        ...at,
        message: `${trying}: ${known.say} (${raw}).${next}`,
        code: known.code,
        retryable: kind !== "final",
      }),
      outcome: { kind },
    };
  }
  const text = field(thrown, "message") || String(thrown);
  if (field(thrown, "name") === "HTTPParserError" || raw === "UND_ERR_HEADERS_OVERFLOW") {
    const message = `${trying}: the answer is not readable as HTTP (${text}). Check that the base URL names the API.`;
    return {
      error: new ProtocolError({ ...at, message, code: "not_http" }),
      outcome: { kind: "final" },
    };
  }
  const message = `${trying}: the request failed (${raw ? `${raw}: ` : ""}${text})`;
  return {
    error: new ConnectionError({ ...at, message, code: "connection_failed" }),
    outcome: { kind: "final" },
  };
}

const isCertificateCode = (code: string): boolean =>
  /^(CERT_|ERR_TLS_CERT|ERR_SSL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_)/.test(code);

/** The parser's error for a chunked answer that ends early has a text but no code. */
const isCutAnswer = (thrown: unknown): boolean =>
  field(thrown, "name") === "HTTPParserError" && field(thrown, "message").includes("Invalid EOF state");

const field = (value: unknown, name: string): string => {
  const found = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : "";
  return typeof found === "string" ? found : "";
};
const codeOf = (thrown: unknown): string => field(thrown, "code");
const syscallOf = (thrown: unknown): string => field(thrown, "syscall");
