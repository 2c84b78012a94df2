/** How a file program ended, as a refusal. */
import { Refusal } from "../control-plane";
import { quoted } from "./path";
import { fileExit as x } from "./shell-common";

/** What the messages speak of. */
export interface Attempt {
  /** Such as "read". */
  verb: string;
  path: string;
  user: string | undefined;
}

/** 128 + SIGKILL and the like: a machine that stops kills what runs in it. */
const firstSignal = 129;
const wordsLimit = 400;

/** The tools' own words, which LC_ALL=C.UTF-8 keeps in English; only asked where a tool failed (exit code first). */
const toolWords: [RegExp, (where: string, words: string) => Refusal][] = [
  [
    /No space left on device|Disk quota exceeded/,
    (where) => new Refusal("file_failed", `${where}: the disk is full; remove something, then try again`),
  ],
  [
    /Permission denied|Operation not permitted|Read-only file system/,
    (where, words) => new Refusal("file_refused", `${where}: no permission (${words})`),
  ],
  [
    /No such file or directory|No such file/,
    (where) => new Refusal("file_not_found", `${where}: there is no such file`),
  ],
  [
    /Not a directory|File name too long|Is a directory|Too many levels|Device or resource busy|subdirectory of itself/,
    (where, words) => new Refusal("file_refused", `${where}: ${words}`),
  ],
];

export function refusalOf(code: number, { verb, path, user }: Attempt, stderr: string): Refusal {
  const words = stderr.trim().slice(-wordsLimit);
  const where = `cannot ${verb} ${quoted(path)}`;
  switch (code) {
    case x.notFound:
      return new Refusal("file_not_found", `${where}: there is no such file or folder in the machine`);
    case x.exists:
      return new Refusal(
        "file_exists",
        `${where}: something is there already; remove it, or choose another name`,
      );
    case x.wrongKind:
      return new Refusal("file_refused", `${where}: this cannot be done with what is there`);
    case x.notAFolder:
      return new Refusal("file_refused", `${where}: it, or a part of its path, is not a folder`);
    case x.isAFolder:
      return new Refusal("file_refused", `${where}: it is a folder, not a file`);
    case x.noPermission:
      return new Refusal("file_refused", `${where}: ${user ?? "root"} has no permission in the machine`);
    case x.noAccount:
      return new Refusal(
        "file_refused",
        `${where} as ${quoted(user ?? "root")}: ${words || "the machine cannot run programs as this account"}`,
      );
    case x.badArchive:
      return new Refusal("file_refused", `${where}: the tar archive cannot be unpacked (${words})`);
    case x.specialInArchive:
      return new Refusal("file_refused", `${where}: the tar archive holds a device, a pipe or a socket`);
    case x.badPattern:
      return new Refusal(
        "invalid_argument",
        `the pattern is no POSIX extended regular expression (${words})`,
      );
    default:
      return fromTool(code, where, words);
  }
}

function fromTool(code: number, where: string, words: string): Refusal {
  for (const [pattern, refusal] of toolWords) if (pattern.test(words)) return refusal(where, words);
  if (code >= firstSignal) {
    return new Refusal("file_failed", `${where}: the machine stopped, or the program was killed in it`, {
      retryable: true,
    });
  }
  return new Refusal(
    "file_failed",
    `${where}: ${words || `the program in the machine ended with ${String(code)}`}`,
  );
}
