import { createHmac } from "node:crypto";
import fc from "fast-check";
import { UsageError, WebhookError } from "../../../sdk/src/errors";
import { signWebhook, verifyWebhook, type VerifyParams } from "../../../sdk/src/nullspace/webhook-signature";
import { wireEvent } from "./client-to";

const secret = "whsec-1";
const event = wireEvent("0b5e3c1e-6f4a-4c19-9a77-2d1f6f0d8b11");
const body = JSON.stringify({ type: "lifecycle.event", event, color: "green" });
const signed = (text: string | Uint8Array = body, by = secret) => ({
  "X-Nullspace-Signature": signWebhook(text, by),
});
const verify = (params: Partial<VerifyParams>) =>
  verifyWebhook({ body, headers: signed(), secret, ...params });
const codeOf = (params: Partial<VerifyParams>): string | undefined => {
  try {
    verify(params);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(WebhookError);
    return (error as WebhookError).code;
  }
};

test("a signature is sha256= and the lower-case hex HMAC of the raw body", () => {
  const hex = createHmac("sha256", Buffer.from(secret, "utf8")).update(Buffer.from(body)).digest("hex");
  expect(signWebhook(body, secret)).toBe(`sha256=${hex}`);
  expect(signWebhook(Buffer.from(body), secret)).toBe(`sha256=${hex}`);
});

test("a good signature gives the event, with all that came", () => {
  const found = verify({});
  expect(found.event).toMatchObject({ id: event.id, machineId: "mch_one", operation: "create" });
  expect(found.raw).toMatchObject({ type: "lifecycle.event", color: "green" });
});

test("headers are found in any case, as Node and as fetch have them, and a bare event is read too", () => {
  const value = signWebhook(body, secret);
  for (const headers of [
    { "x-nullspace-signature": value },
    { "X-NULLSPACE-SIGNATURE": [value] },
    new Headers({ "X-Nullspace-Signature": value }),
  ]) {
    expect(verify({ headers }).event.id).toBe(event.id);
  }
  const bare = JSON.stringify(event);
  expect(verify({ body: bare, headers: signed(bare) }).event.id).toBe(event.id);
  expect(verify({ body: Buffer.from(body) }).event.id).toBe(event.id);
});

test("while a secret is changed, the old one and the new one are good, and no other", () => {
  expect(verify({ secret: undefined, secrets: ["new", secret] }).event.id).toBe(event.id);
  expect(verify({ secret: "new", secrets: [secret] }).event.id).toBe(event.id);
  expect(codeOf({ secret: undefined, secrets: ["new", "newer"] })).toBe("wrong_signature");
});

test.each<[string, Partial<VerifyParams>, string]>([
  ["no header", { headers: {} }, "missing_signature"],
  ["an empty header", { headers: { "x-nullspace-signature": " " } }, "missing_signature"],
  ["no header of fetch", { headers: new Headers() }, "missing_signature"],
  ["another secret", { secret: "other" }, "wrong_signature"],
  ["another body", { body: `${body} ` }, "wrong_signature"],
  [
    "a signature without its name",
    { headers: { "x-nullspace-signature": signWebhook(body, secret).slice(7) } },
    "wrong_signature",
  ],
  [
    "a signature in upper case",
    { headers: { "x-nullspace-signature": signWebhook(body, secret).toUpperCase() } },
    "wrong_signature",
  ],
  ["a signature of nonsense", { headers: { "x-nullspace-signature": "é" } }, "wrong_signature"],
  ["a signed body that is no JSON", { body: "{", headers: signed("{") }, "unreadable_body"],
  ["a signed body without an event", { body: "{}", headers: signed("{}") }, "unreadable_body"],
])("%s is refused", (_name, params, code) => {
  expect(codeOf(params)).toBe(code);
});

test("any single change of body or signature is refused", () => {
  const value = signWebhook(body, secret);
  fc.assert(
    fc.property(fc.nat(value.length - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
      const bytes = Buffer.from(value);
      bytes[at] = (bytes[at] ?? 0) ^ by;
      const changed = bytes.toString("latin1");
      fc.pre(changed.trim() !== value);
      return codeOf({ headers: { "x-nullspace-signature": changed } }) !== undefined;
    }),
  );
  fc.assert(
    fc.property(fc.nat(body.length - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
      const bytes = Buffer.from(body);
      bytes[at] = (bytes[at] ?? 0) ^ by;
      return codeOf({ body: bytes }) === "wrong_signature";
    }),
  );
});

test("the age counts only when it is asked for, by the event's own signed time", () => {
  const now = Date.parse(event.occurred_at) + 60_000;
  expect(codeOf({ now })).toBeUndefined();
  expect(codeOf({ now, maxAgeMs: 60_000 })).toBeUndefined();
  expect(codeOf({ now, maxAgeMs: 59_999 })).toBe("too_old");
  const odd = JSON.stringify({ event: { ...event, occurred_at: "yesterday" } });
  expect(codeOf({ body: odd, headers: signed(odd), maxAgeMs: 1e15 })).toBe("too_old");
});

test.each<[string, Partial<VerifyParams>]>([
  ["no secret", { secret: undefined }],
  ["an empty secret", { secret: "" }],
  ["an empty one among others", { secrets: [""] }],
  ["a body that was parsed", { body: JSON.parse(body) as string }],
])("%s is the receiver's own mistake", (_name, params) => {
  expect(() => verify(params)).toThrow(UsageError);
});

test("no error holds the secret or the signature that would have been right", () => {
  for (const params of [{ secret: "other" }, { headers: {} }, { now: 1e15, maxAgeMs: 1 }]) {
    try {
      verify(params);
    } catch (error) {
      expect(String(error)).not.toContain(signWebhook(body, params.secret ?? secret).slice(7));
      expect(String(error)).not.toContain(secret);
    }
  }
});
