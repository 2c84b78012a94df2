/** What came of a create that failed. Pure. */
import { MachinesError } from "@pulumi-machines/sdk";
import type { RefusedError } from "../controlplane/port";

/** Nothing has reached the service. */
const unsent: readonly string[] = ["connection_refused", "host_not_found", "tls_untrusted", "client_closed"];
/** A proxy's words: what stands behind it may be at it still. */
const byProxy: readonly number[] = [408, 502, 504];

/**
 * "nothing": it was refused, or never sent. "settled": the service has answered, and may have made one before it failed.
 * "unknown": no answer, so that it may even come later.
 */
export function whatCame(error: RefusedError): "nothing" | "settled" | "unknown" {
  const { status, name } = error.cause instanceof MachinesError ? error.cause : {};
  if (unsent.includes(error.code) || name === "UsageError") return "nothing";
  if (status === undefined || byProxy.includes(status)) return "unknown";
  return status >= 400 && status < 500 ? "nothing" : "settled";
}
