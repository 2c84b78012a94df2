/**
 * Draws a terminal's text as an SVG: `node tools/docs/picture.mjs < session.txt > docs/images/failing-deploy.svg`.
 * The text is what a real session printed; colours are given by what a line says.
 */
import { readFileSync } from "node:fs";

const charWidth = 7.8;
const lineHeight = 18;
const margin = 16;
const maxColumns = 124;

const escape = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

const colours = [
  [/^\$ /, "#e6edf3"],
  [/error|failed|last_error/i, "#ff7b72"],
  [/^ *(next:|\* next)/, "#d2a8ff"],
  [/^ *[+~-] /, "#7ee787"],
];
const colourOf = (line) => colours.find(([pattern]) => pattern.test(line))?.[1] ?? "#9da7b3";

/** Breaks long lines as a terminal of this width does, keeping the indent. */
function wrap(line) {
  if (line.length <= maxColumns) return [line];
  const indent = /^\s*/.exec(line)[0];
  const cut = line.lastIndexOf(" ", maxColumns);
  const at = cut > indent.length ? cut : maxColumns;
  return [line.slice(0, at), ...wrap(`${indent}  ${line.slice(at).trim()}`)];
}

const lines = readFileSync(0, "utf8")
  .replace(/\n+$/, "")
  .split("\n")
  .flatMap((line) => wrap(line.replace(/\u001b\[[0-9;]*m/g, "")).map((part) => [part, colourOf(line)]));
const width = Math.ceil(Math.max(...lines.map(([text]) => text.length)) * charWidth + 2 * margin);
const height = lines.length * lineHeight + 2 * margin;
const rows = lines.map(
  ([text, colour], at) =>
    `<text x="${margin}" y="${margin + 13 + at * lineHeight}" fill="${colour}" xml:space="preserve">${escape(text)}</text>`,
);
process.stdout.write(
  `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="13">
${rows.join("\n")}
</g>
</svg>
`,
);
