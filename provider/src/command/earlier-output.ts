/** What the earlier run wrote, as variables for `update` and `delete`. Pure. */

/** Linux takes 128 KiB for one variable; the newest output is kept. */
const variableBytes = 64 * 1024;

export const earlierOutput = (state: Record<string, unknown>): Record<string, string> => ({
  PULUMI_COMMAND_STDOUT: asVariable(state.stdout),
  PULUMI_COMMAND_STDERR: asVariable(state.stderr),
});

/** A variable holds no null character, and a size is one in bytes. */
function asVariable(value: unknown): string {
  if (typeof value !== "string") return "";
  const bytes = Buffer.from(value.replaceAll("\0", ""));
  let at = Math.max(0, bytes.length - variableBytes);
  // Not from the middle of a character on.
  while (((bytes[at] ?? 0) & 0xc0) === 0x80) at += 1;
  return bytes.subarray(at).toString();
}
