/**
 * Results as Markdown. A result is `{ title, intro, rows, notes }`, or `{ title, failure }`; a row is
 * `{ what, ours, peer?, ratio?, goal?, met? }`, all of them texts but `met`.
 */
const heading = "| what | ours | compared with | ratio | goal | |\n| --- | --- | --- | --- | --- | --- |";

const verdict = ({ goal, met }) => (goal === undefined ? "" : met ? "met" : "**missed**");

const line = (row) =>
  `| ${[row.what, row.ours, row.peer, row.ratio, row.goal, verdict(row)].map((cell) => cell ?? "").join(" | ")} |`;

export function section({ title, intro, rows = [], notes = [], failure }) {
  if (failure !== undefined) return `## ${title}\n\nDid not run: ${failure}\n`;
  const said = notes.length > 0 ? `\n${notes.map((note) => `- ${note}`).join("\n")}\n` : "";
  return `## ${title}\n\n${intro}\n\n${heading}\n${rows.map(line).join("\n")}\n${said}`;
}

/** One line for each goal that was missed, or one that says that all were met. */
export function verdicts(results) {
  const rows = results.flatMap(({ title, rows = [] }) => rows.map((row) => ({ title, ...row })));
  const missed = rows.filter((row) => row.goal !== undefined && !row.met);
  const failed = results.filter((result) => result.failure !== undefined);
  const goals = rows.filter((row) => row.goal !== undefined).length;
  return [
    `${String(goals - missed.length)} of ${String(goals)} goals met.`,
    ...missed.map(
      (row) =>
        `Missed: ${row.title}: ${row.what}: ${row.ours}${row.ratio ? `, ratio ${row.ratio}` : ""} (goal ${row.goal})`,
    ),
    ...failed.map((result) => `Did not run: ${result.title}: ${result.failure}`),
  ].join("\n");
}

export function page({ results, shape, version, at }) {
  const { cpu, memory, system, node, load } = shape;
  return `# Benchmarks

Written by \`npm run bench\`; a run takes about ten minutes. Where a peer exists, both were measured in the same run on
the same machine: the ratio is what counts, a time is only as good as the machine. "missed" is said where it is so.

${verdicts(results)
  .split("\n")
  .map((text) => `- ${text}`)
  .join("\n")}

| | |
| --- | --- |
| version | pulumi-machines ${version}, ${at.toISOString().slice(0, 10)} |
| machine | ${cpu}, ${memory} |
| system | ${system} |
| Node | ${node} |
| load average before | ${load} (1, 5, 15 minutes) |

${results.map(section).join("\n")}`;
}
