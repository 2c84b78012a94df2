/** Keeps secret values out of lines, failures and the state. Pure. */

export type Mask = (text: string) => string;

const masked = "[secret]";
/** Shorter ones would take half of every text with them, and tell more than they hide. */
const shortest = 3;

type Properties = Record<string, unknown>;

/** The values of the arguments that the program gave as secrets: `__secret` names them, `environment.NAME` one variable. */
export function secretsIn(properties: Properties): string[] {
  const names = Array.isArray(properties.__secret) ? (properties.__secret as unknown[]) : [];
  return names.flatMap((name) => {
    const [argument = "", ...member] = String(name).split(".");
    const value = properties[argument];
    return textsIn(member.length > 0 ? (value as Properties | undefined)?.[member.join(".")] : value);
  });
}

function textsIn(value: unknown): string[] {
  if (typeof value === "string") return [value, ...value.split(/\r?\n/)];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsIn) : [];
}

export function maskOf(secrets: readonly string[]): Mask {
  // The longest first: one may be a part of another.
  const known = [...new Set(secrets.map((secret) => secret.trim()))]
    .filter((secret) => secret.length >= shortest)
    .sort((one, other) => other.length - one.length);
  return (text) => known.reduce((rest, secret) => rest.replaceAll(secret, masked), text);
}
