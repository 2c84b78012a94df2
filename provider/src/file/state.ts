/** What the stack's state holds of a file: its arguments without the content, and its hash. Pure. */

export const outputDescriptions = {
  hash: "SHA-256 in lower-case hex: of the file, or of an archive's names and their hashes. As secret as the content.",
  size: "Bytes; of an archive, of all its files together.",
} as const;

export const outputTypes = { size: "number" } as const;

export interface Written {
  size: number;
  /** Of an archive: hashes by name. */
  files?: Record<string, string>;
}

export function stateOf(news: Record<string, unknown>, { size, files }: Written): Record<string, unknown> {
  const { content: _content, ...rest } = news;
  return { ...rest, size, ...(files === undefined ? {} : { __files: files }) };
}
