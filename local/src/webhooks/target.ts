/**
 * Which addresses a webhook may reach. A URL comes from whoever holds the key, and the request leaves from this host: it must not
 * become a way to ask services that trust it, such as a cloud's metadata service.
 */
import { lookup as resolve, type LookupAddress, type LookupOptions } from "node:dns";
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import { Refusal } from "../engine/control-plane";

export interface TargetPolicy {
  /** http:// and https:// to this host's loopback; else https to others alone. */
  allowHttpLoopback: boolean;
}

/** Ranges that no webhook reaches, by the names of ipaddr.js: those that lead back to this host, or to nobody, or hide another address. */
const refusedRanges = new Set([
  "unspecified",
  "broadcast",
  "multicast",
  "linkLocal",
  "reserved",
  "rfc6145",
  "rfc6052",
  "6to4",
  "teredo",
  "as112",
  "as112v6",
  "amt",
  "orchid2",
  "droneRemoteIdProtocolEntityTags",
  "discard",
  "benchmarking",
]);

/** Metadata services outside of the link-local range: Alibaba, Azure, AWS, Google. */
const metadata = new Set(["100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254"]);

/** Why this address is refused; undefined when it may be reached. */
export function refusedAddress(address: string, { allowHttpLoopback }: TargetPolicy): string | undefined {
  // Also what hides in ::ffff:127.0.0.1
  const parsed = ipaddr.process(address.replace(/%.*$/, ""));
  const range = parsed.range();
  if (metadata.has(parsed.toString())) return `${address} is a metadata service`;
  if (range === "loopback") {
    return allowHttpLoopback ? undefined : `${address} is this host's loopback`;
  }
  return refusedRanges.has(range) ? `${address} is in the range ${range}` : undefined;
}

/** @throws Refusal webhook_url_refused, with what to do. */
export function checkTarget(text: string, policy: TargetPolicy): URL {
  const refuse = (why: string): never => {
    throw new Refusal("webhook_url_refused", `the webhook's url cannot be used: ${why}`);
  };
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return refuse("it is not an absolute URL, such as https://example.com/hook");
  }
  if (url.username || url.password) refuse("it holds credentials; use the signing secret to know the sender");
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const loopback = isLoopbackName(host);
  const http = url.protocol === "http:" && loopback && policy.allowHttpLoopback;
  if (url.protocol !== "https:" && !http) {
    refuse(
      policy.allowHttpLoopback
        ? "use https; http is taken for this host's loopback only"
        : "use https (http to this host's loopback is taken when the control plane is started with --allow-http-webhooks)",
    );
  }
  if (loopback && !policy.allowHttpLoopback) {
    refuse("it leads to this host (start the control plane with --allow-http-webhooks to take that)");
  }
  const why = isIP(host) === 0 ? undefined : refusedAddress(host, policy);
  if (why !== undefined) refuse(why);
  return url;
}

function isLoopbackName(host: string): boolean {
  if (isIP(host) === 0) return /^(.+\.)?localhost\.?$/i.test(host);
  return ipaddr.process(host).range() === "loopback";
}

/** A refused address, found only when the name was resolved. */
export class TargetRefused extends Error {
  override readonly name = "TargetRefused";
}

type LookupCallback = (
  error: NodeJS.ErrnoException | null,
  address: string | LookupAddress[],
  family?: number,
) => void;

/** `dns.lookup` for a connection: what it answers is what is connected to, so that a name cannot change in between. */
export const guardedLookup =
  (policy: TargetPolicy) =>
  (hostname: string, options: LookupOptions, callback: LookupCallback): void => {
    resolve(hostname, { ...options, all: true }, (error, found) => {
      if (error) {
        callback(error, []);
        return;
      }
      for (const { address } of found) {
        const why = refusedAddress(address, policy);
        if (why === undefined) continue;
        callback(new TargetRefused(`${hostname} leads to an address that is refused: ${why}`), []);
        return;
      }
      const [first] = found;
      if (options.all) callback(null, found);
      else callback(null, first?.address ?? "", first?.family);
    });
  };
