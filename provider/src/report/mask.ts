/**
 * The values of a preview, fit to be seen: no secret is left in them, and what is not known yet is one and the same text.
 * Everything that the report reads goes through here first. Pure.
 */
import { unknownValue } from "../hidden";

export const secretText = "[secret]";

/** The key that marks a value of a special kind in Pulumi's JSON; the kinds are values of it. */
const signatureKey = "4dabf18193072939515e22adb298388d";
const kinds: Record<string, "asset" | "archive" | "output" | "resource"> = {
  c44067f5952c0a294b673a41bacd8c17: "asset",
  "0def7320c3a5731c473e5ecbe6d01bc7": "archive",
  d0e6a833031e9bbcd3f4e8bde6ca49a4: "output",
  "5cf8f73096256a8f31e491e813e4eb8e": "resource",
};

/** What Pulumi writes for a value that is not known yet: by kind of value. */
const unknowns = [
  unknownValue,
  "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
  "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
  "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
  "030794c1-ac77-496b-92df-f27374a8bd58",
  "e48ece36-62e2-4504-bad9-02848725956a",
  "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
];

const maxDepth = 64;

/** A value without its secrets; what is not known becomes `unknownValue`, also where a text only contains it. */
export function masked(value: unknown, depth = 0): unknown {
  if (typeof value === "string") return unknowns.some((text) => value.includes(text)) ? unknownValue : value;
  if (typeof value !== "object" || value === null) return value;
  if (depth > maxDepth) return "[too deep]";
  if (Array.isArray(value)) return value.map((item) => masked(item, depth + 1));
  if (Object.hasOwn(value, signatureKey)) return special(value as Record<string, unknown>, depth);
  return maskedProperties(value as Record<string, unknown>, [], depth);
}

/** @param secrets Names whose values are secret although nothing in them says so. */
export function maskedProperties(
  properties: Record<string, unknown>,
  secrets: readonly string[],
  depth = 0,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(properties).map(([name, value]) => {
      const hide = secrets.includes(name) && value !== undefined && value !== null;
      return [name, hide ? secretText : masked(value, depth + 1)];
    }),
  );
}

/** A kind that this version does not know is hidden whole: it may hold a secret. */
function special(value: Record<string, unknown>, depth: number): unknown {
  const kind = kinds[String(value[signatureKey])];
  if (kind === "asset" || kind === "archive") {
    const hash = typeof value.hash === "string" ? value.hash.slice(0, 12) : "unknown";
    return `[${kind} ${hash}]`;
  }
  if (kind === "output" && value.secret !== true) {
    return value.value === undefined ? unknownValue : masked(value.value, depth + 1);
  }
  if (kind === "resource" && typeof value.urn === "string") return `[resource ${value.urn}]`;
  return secretText;
}

/** True when the value, or anything in it, is a secret. */
export const holdsSecret = (value: unknown): boolean =>
  value === secretText ||
  (typeof value === "object" && value !== null && Object.values(value).some(holdsSecret));
