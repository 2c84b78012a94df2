/** Keeps secret values out of lines and failures. Pure. */

export type Mask = (text: string) => string;

const masked = "[secret]";
/** Shorter ones would take half of every text with them, and tell more than they hide. */
const shortest = 3;

type Properties = Record<string, unknown>;

/** What of a run may be shown. */
export interface Secrecy {
  mask: Mask;
  /** Of the longest secret, in characters. */
  longest: number;
  /** "create": a line that holds a secret. Which part of it is the secret is not known, so that none of its output is shown. */
  secretLine?: string;
}

const lines = ["create", "update", "delete"];

const namesOf = ({ __secret: names }: Properties): string[] =>
  Array.isArray(names) ? (names as unknown[]).map(String) : [];

/** Of all that is known of a command: what it was, and what it becomes. */
export function secrecyOf(...states: Properties[]): Secrecy {
  const secretLine = states.flatMap(namesOf).find((name) => lines.includes(name));
  const secrets = states.flatMap(secretsIn);
  const longest = Math.max(0, ...secrets.map(({ length }) => length));
  return { mask: maskOf(secrets), longest, ...(secretLine === undefined ? {} : { secretLine }) };
}

/** True when the argument, or a part of it, was given as a secret. */
export const isSecretArgument = (properties: Properties, argument: string): boolean =>
  namesOf(properties).some((name) => name.split(".")[0] === argument);

/** The values of the arguments that the program gave as secrets: `__secret` names them, `environment.NAME` one variable. */
export const secretsIn = (properties: Properties): string[] =>
  namesOf(properties).flatMap((name) => {
    const [argument = "", ...member] = name.split(".");
    const value = properties[argument];
    return textsIn(member.length > 0 ? (value as Properties | undefined)?.[member.join(".")] : value);
  });

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
