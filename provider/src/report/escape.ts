/**
 * Texts of others in Markdown and HTML: names, ids and values can be anything, and must not become markup, mentions or
 * links, nor hide what stands next to them. Pure.
 */

/** Characters that are not seen, or that change how others are seen: controls, direction marks, unassigned ones. */
const unseen = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;
/** Spaces that look like another one, and more than a few marks upon one letter. */
const odd = /(?! )\p{Zs}|(?<=\p{M}{3})\p{M}/gu;

const named: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
const escapeOf = (character: string): string =>
  named[character] ?? `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;

/** One line in which every character is seen: "\n" and "\u{202e}" instead of what does not print. */
export function oneVisibleLine(text: string, maxCharacters: number): string {
  const characters = Array.from(text.slice(0, maxCharacters * 2 + 2));
  const cut = characters.slice(0, maxCharacters).join("");
  const visible = cut.replace(unseen, escapeOf).replace(odd, escapeOf);
  return characters.length > maxCharacters || text.length > maxCharacters * 2 + 2 ? `${visible}…` : visible;
}

const maxNameCharacters = 80;

/** Every character that is not a letter, a digit or a space as an entity: neither Markdown nor HTML sees markup. */
const asEntities = (text: string): string =>
  text.replace(/[^\p{L}\p{M}\p{N} ]/gu, (character) => `&#${String(character.codePointAt(0))};`);

/** For HTML, where Markdown is not read: within `<summary>`. */
export const codeInHtml = (text: string): string =>
  `<code>${asEntities(oneVisibleLine(text, maxNameCharacters))}</code>`;

/** For Markdown, also within a table. What is in code is no mention and no link to GitHub and GitLab. */
export function code(text: string): string {
  const simple =
    text.length <= maxNameCharacters && /^[A-Za-z0-9](?:[A-Za-z0-9 ,.:/@_-]*[A-Za-z0-9.])?$/.test(text);
  return simple ? `\`${text}\`` : codeInHtml(text === "" ? "(empty)" : text);
}

/** A block of code whose fence is longer than any in it. The lines must be single and visible ones. */
export function fenced(language: string, lines: readonly string[]): string {
  const longest = Math.max(2, ...lines.flatMap((line) => line.match(/`+/g) ?? []).map((run) => run.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}${language}\n${lines.join("\n")}\n${fence}`;
}

/** The first lines that are no longer than that together; the last one says how many more there are. */
export function linesWithin(lines: readonly string[], maxCharacters: number, comment = ""): string[] {
  const taken: string[] = [];
  let length = 0;
  for (const line of lines) {
    length += line.length + 1;
    if (length > maxCharacters) break;
    taken.push(line);
  }
  const more = lines.length - taken.length;
  return more > 0 ? [...taken, `${comment}… and ${String(more)} more line${more === 1 ? "" : "s"}`] : taken;
}
