/** What every part of a NullspaceClient works with: the request path, and what opening a socket needs. */
import type { Deps } from "../deps";
import type { Transport } from "../http";
import type { Redact } from "../redact";

export interface NullspaceContext {
  readonly transport: Transport;
  /** Without a slash at its end; a path prefix is kept. Sockets go to the same origin, `ws:` for `http:`. */
  readonly baseUrl: URL;
  /** Authorization, for the base URL's origin only. A function, so that printing a client shows no key. */
  readonly authHeaders: () => Readonly<Record<string, string>>;
  /** Takes the key out of what a person may read. */
  readonly redact: Redact;
  readonly deps: Deps;
  /** Aborted with a `client_closed` error when the client is closed: sockets end with it. */
  readonly closing: AbortSignal;
}
