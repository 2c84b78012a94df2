/**
 * Pulumi shows the value of a property that a check refuses, also when it is a secret: as `value {&{{hunter2}}}`, and
 * the reason may repeat it. Pure.
 */
import { secretText } from "./mask";

const refused = /value \{&\{\{(.*)\}\}\} has a problem:/s;
/** Of a secret object: `map[a:{hunter2}]`. */
const leaves = /\{([^{}]+)\}/g;
/** Shorter ones are only hidden where they were said: they are in every other word. */
const minLengthElsewhere = 4;

/** The messages, without the secrets that one of them tells. */
export function withoutSpokenSecrets(messages: readonly string[]): string[] {
  const spoken = messages.map(secretsIn);
  const everywhere = spoken.flat().filter((secret) => secret.length >= minLengthElsewhere);
  return messages.map((message, index) =>
    hidden(message.replace(refused, `value {${secretText}} has a problem:`), [
      ...(spoken[index] ?? []),
      ...everywhere,
    ]),
  );
}

function secretsIn(message: string): string[] {
  const value = refused.exec(message)?.[1];
  if (value === undefined) return [];
  const all = [value, ...[...value.matchAll(leaves)].map(([, leaf = ""]) => leaf)];
  // A reason may quote it as JSON.
  return [...new Set(all.flatMap((text) => [text, JSON.stringify(text).slice(1, -1)]))].filter(
    (text) => text !== "",
  );
}

/** The longest first, else a part of one would be left. */
const hidden = (message: string, secrets: readonly string[]): string =>
  [...secrets]
    .sort((one, other) => other.length - one.length)
    .reduce((text, secret) => text.split(secret).join(secretText), message);
