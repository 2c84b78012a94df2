/** Records of files as the wire has them: what a file does not have is left out. */
import type { FileMatch, FileRecord } from "../../engine/files/api";

/** The vendor's client calls a folder `dir`. */
const types = { file: "file", directory: "dir", symlink: "symlink", other: "other" } as const;

export const fileInfo = (record: FileRecord) => ({
  name: record.name,
  path: record.path,
  is_dir: record.type === "directory",
  size: record.size,
  type: types[record.type],
  mode: record.mode,
  permissions: record.permissions,
  owner: record.owner,
  group: record.group,
  modified_time: record.modifiedAt,
  ...(record.symlinkTarget === null ? {} : { symlink_target: record.symlinkTarget }),
});

export const searchMatch = ({ file, line, content }: FileMatch) => ({ file, line, content });
