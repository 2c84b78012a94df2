/** What may be shown of a command: the name of its program. Arguments and variables may be secret. Pure. */

/** @param command The program, or a whole command line. */
export function programOf(command: string): string {
  const [first = ""] = command.trim().split(/\s/, 1);
  // A line that sets variables first begins with one of them.
  const plain = /^[\w./+-]+$/.test(first) ? first : "";
  return plain.slice(plain.lastIndexOf("/") + 1).slice(0, 80) || "a command";
}
