/** The answer to an upgrade that is refused: plain HTTP with the dialect's envelope. */
import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { envelope, retryHeaders, type WireError } from "../errors";

export function refuseUpgrade(raw: Duplex, error: WireError, requestId: string): void {
  const body = JSON.stringify(envelope(error, requestId));
  const headers = {
    ...retryHeaders(error.options.retryAfterMs),
    ...error.options.headers,
    "content-type": "application/json",
    "content-length": String(Buffer.byteLength(body)),
    "x-request-id": requestId,
    connection: "close",
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const title = STATUS_CODES[error.status] ?? "Error";
  // Not left half open: a client that does not close would hold the server's end.
  raw.once("finish", () => raw.destroy());
  raw.end(`HTTP/1.1 ${String(error.status)} ${title}\r\n${lines.join("")}\r\n${body}`);
}
