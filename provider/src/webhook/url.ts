/** Which addresses can be those of a webhook. The service has the last word. Pure. */
import { isIP } from "node:net";

/** What is wrong with the text, without the text itself: it may be a secret. */
export function urlProblem(text: string): string | undefined {
  const url = parsed(text);
  if (!url) return "must be a whole URL, such as https://example.com/hook";
  if (url.username !== "" || url.password !== "") {
    return "must hold no user name and no password: the deliveries are signed with the secret";
  }
  if (url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname))) return undefined;
  return "must begin with https:// (http:// is for the loopback of an embedded control plane alone)";
}

/** True when both lead to the same place: a service may write a URL in its own way. */
export const isSameUrl = (one: string, other: string): boolean =>
  one === other || (parsed(one)?.href ?? one) === (parsed(other)?.href ?? other);

function parsed(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}

function isLoopback(hostname: string): boolean {
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  if (isIP(host) === 4) return host.startsWith("127.");
  return host === "::1" || /^(.+\.)?localhost\.?$/i.test(host);
}
