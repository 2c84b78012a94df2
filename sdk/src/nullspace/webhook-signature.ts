/**
 * Signatures of lifecycle deliveries: `X-Nullspace-Signature: sha256=<hex>`, the HMAC-SHA256 of the raw body with the
 * signing secret. No clock and no I/O of its own.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { UsageError, WebhookError } from "../errors";
import { lifecycleEventAnswer, type LifecycleEvent } from "./wire";

export const signatureHeader = "x-nullspace-signature";

type HeaderValues = Readonly<Record<string, string | readonly string[] | undefined>>;

export interface VerifyParams {
  /** The bytes as they came, before anything parses them: a body that was written anew has another signature. */
  body: string | Uint8Array;
  /** Of the request: Node's, or those of the fetch standard. Names in any case. */
  headers: HeaderValues | { get(name: string): string | null };
  /** What the webhook was created with. */
  secret?: string | undefined;
  /** While a secret is changed: the old one and the new one. Each is tried. */
  secrets?: readonly string[] | undefined;
  /**
   * The longest time since the event happened, in milliseconds; default any. A delivery that was tried again is as old as
   * its event, so that this must be longer than the service keeps trying.
   */
  maxAgeMs?: number | undefined;
  /** Milliseconds since 1970, for `maxAgeMs`; default now. */
  now?: number | undefined;
}

export interface VerifiedWebhook {
  /** The same event, with the same id, as in history and stream: a delivery may come twice, its id tells. */
  event: LifecycleEvent;
  /** The body as it came. */
  raw: Readonly<Record<string, unknown>>;
}

/** `sha256=` and lower-case hex: what the service sends as `X-Nullspace-Signature`. For tests of a receiver. */
export const signWebhook = (body: string | Uint8Array, secret: string): string =>
  `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;

/**
 * The event of a delivery, when it is signed with one of the secrets. Takes the same time for every wrong signature.
 *
 * @example const { event } = verifyWebhook({ body: rawBody, headers: request.headers, secret });
 *
 * @throws WebhookError `missing_signature`, `wrong_signature`, `too_old`, `unreadable_body`
 * @throws UsageError `invalid_argument`: no secret, or a body that is no raw body
 */
export function verifyWebhook(params: VerifyParams): VerifiedWebhook {
  const { body } = params;
  if (typeof body !== "string" && !(body instanceof Uint8Array)) {
    throw new UsageError({
      message: "verify a webhook: give the raw body as it came (text or bytes), not one that was parsed",
      code: "invalid_argument",
    });
  }
  const found = secretsOf(params);
  const signature = headerOf(params.headers);
  if (signature === undefined || signature.trim() === "") {
    throw new WebhookError({
      message:
        "verify a webhook: there is no X-Nullspace-Signature header; was the webhook sent by the service?",
      code: "missing_signature",
    });
  }
  const given = Buffer.from(signature.trim());
  // Every secret is tried, so that the time does not tell which one fits.
  const matches = found.map((secret) => isSame(given, Buffer.from(signWebhook(body, secret))));
  if (!matches.includes(true)) {
    throw new WebhookError({
      message:
        "verify a webhook: the signature fits none of the secrets. Check the secret, and that the body is the raw one.",
      code: "wrong_signature",
    });
  }
  const verified = readBody(body);
  checkAge(verified.event, params);
  return verified;
}

const isSame = (given: Buffer, expected: Buffer): boolean =>
  given.length === expected.length && timingSafeEqual(given, expected);

function secretsOf({ secret, secrets = [] }: VerifyParams): string[] {
  const found = [...(secret === undefined ? [] : [secret]), ...secrets];
  // An empty secret is one that everybody knows.
  if (found.length > 0 && !found.includes("")) return found;
  throw new UsageError({
    message: "verify a webhook: give the signing secret, or several, none of them empty",
    code: "invalid_argument",
  });
}

function headerOf(headers: VerifyParams["headers"]): string | undefined {
  if (typeof headers.get === "function") return headers.get(signatureHeader) ?? undefined;
  for (const [name, value] of Object.entries(headers as HeaderValues)) {
    if (name.toLowerCase() === signatureHeader) return typeof value === "string" ? value : value?.[0];
  }
  return undefined;
}

const bodyShape = z.union([
  z.looseObject({ event: lifecycleEventAnswer }).transform((body) => ({ event: body.event, raw: body })),
  // The hosted service documents no wrapper: a bare event is read too.
  lifecycleEventAnswer.transform((event) => ({ event, raw: event.raw })),
]);

function readBody(body: string | Uint8Array): VerifiedWebhook {
  let value: unknown;
  try {
    value = JSON.parse(typeof body === "string" ? body : Buffer.from(body).toString("utf8"));
  } catch {
    throw unreadable("it is no JSON");
  }
  const parsed = bodyShape.safeParse(value);
  if (!parsed.success) throw unreadable("it holds no lifecycle event");
  return { event: parsed.data.event, raw: value as Record<string, unknown> };
}

const unreadable = (why: string): WebhookError =>
  new WebhookError({
    message: `verify a webhook: the body is signed, but ${why}. Is this receiver newer or older than the service?`,
    code: "unreadable_body",
  });

function checkAge(event: LifecycleEvent, { maxAgeMs, now = Date.now() }: VerifyParams): void {
  if (maxAgeMs === undefined) return;
  const ageMs = now - Date.parse(event.occurredAt);
  // A time that cannot be read is no proof of youth.
  if (ageMs <= maxAgeMs) return;
  throw new WebhookError({
    message:
      `verify a webhook: its event happened at ${event.occurredAt}, longer ago than ${String(maxAgeMs)} ms. ` +
      "It may be an old delivery sent again by somebody else.",
    code: "too_old",
  });
}
