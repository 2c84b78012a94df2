/** What `grep` and `find` print, as matches. */
import { Refusal } from "../control-plane";
import type { FileMatch } from "./api";
import { quoted } from "./path";

/** An answer has no place to say that it was cut, so one that is larger is refused. */
const maxResults = 10_000;
const maxLineLength = 2000;

/** File, NUL, "line:content", newline. A file's name may hold newlines. @throws Refusal file_refused */
export function parseMatches(output: Buffer, path: string): FileMatch[] {
  const text = output.toString("utf8");
  const matches: FileMatch[] = [];
  for (let at = 0; at < text.length;) {
    const nul = text.indexOf("\0", at);
    const colon = text.indexOf(":", nul);
    const end = text.indexOf("\n", colon);
    if (nul < 0 || colon < 0 || end < 0) break;
    const content = text.slice(colon + 1, end);
    matches.push({
      file: text.slice(at, nul),
      line: Number(text.slice(nul + 1, colon)),
      content: content.length > maxLineLength ? `${content.slice(0, maxLineLength)}...` : content,
    });
    checkCount(matches.length, path);
    at = end + 1;
  }
  // By file; the lines of one are in order already.
  return matches.sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : 0));
}

/** Paths, each ended by NUL. @throws Refusal file_refused */
export function parsePaths(output: Buffer, path: string): string[] {
  const paths = output.toString("utf8").split("\0").slice(0, -1);
  checkCount(paths.length, path);
  return paths.sort();
}

function checkCount(count: number, path: string): void {
  if (count <= maxResults) return;
  const limit = `there are more than ${String(maxResults)} matches below ${quoted(path)}`;
  throw new Refusal("file_refused", `${limit}: search a smaller folder, or for something more exact`);
}
