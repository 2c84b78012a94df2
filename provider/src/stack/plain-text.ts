/** What goes to the terminal: one line each, without control characters and without the secrets that are known here. Pure. */
import { oneLine } from "../one-line";

/** Marks that turn text around, and others that are not seen. */
const unseen = /[\p{Cf}\p{Zl}\p{Zp}]/gu;

export function plainText(text: string, secrets: readonly string[]): string {
  const hidden = secrets
    .filter((secret) => secret.length >= 4)
    .reduce((rest, secret) => rest.replaceAll(secret, "[secret]"), text);
  return oneLine(hidden).replace(unseen, "");
}

/** Every text in plain JSON. */
export function plainJson(value: unknown, secrets: readonly string[]): unknown {
  if (typeof value === "string") return plainText(value, secrets);
  if (Array.isArray(value)) return value.map((item) => plainJson(item, secrets));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, plainJson(member, secrets)]),
  );
}
