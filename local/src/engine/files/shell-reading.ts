/** The file programs that change nothing. $1 is the base of relative paths, $2 the path. */
import { commonScript, fileExit as x } from "./shell-common";

/** Prints one entry. */
export const statScript = `${commonScript}
abs "$1" "$2"
there "$p"
show "$p"
`;

/** $3 depth. Prints entries. What vanishes meanwhile or may not be looked into is left out. */
export const listScript = `${commonScript}
abs "$1" "$2"
folder "$p"
find -H "$p" -ignore_readdir_race -mindepth 1 -maxdepth "$3" -printf "$entry" 2>/dev/null
[ $? -le 1 ] || exit ${x.failed}
`;

/** Prints the size, NUL, then the content. The file is opened once, so both are of the same one. */
export const readScript = `${commonScript}
abs "$1" "$2"
there "$p"
[ ! -d "$p" ] || exit ${x.isAFolder}
[ -e "$p" ] || exit ${x.notFound}
[ -f "$p" ] || exit ${x.wrongKind}
[ -r "$p" ] || exit ${x.noPermission}
exec <"$p" || exit ${x.failed}
size=$(stat -L -c %s -) || exit ${x.failed}
printf '%s\\0' "$size"
exec cat
`;

/** $3 pattern. Prints file, NUL, "line:content", newline. */
export const findScript = `${commonScript}
abs "$1" "$2"
there "$p"
[ -d "$p" ] || [ -f "$p" ] || exit ${x.wrongKind}
[ -r "$p" ] || exit ${x.noPermission}
grep -E -e "$3" /dev/null >/dev/null
[ $? -le 1 ] || exit ${x.badPattern}
grep -r -n -I -E -H -Z -D skip -e "$3" -- "$p" 2>/dev/null
[ $? -le 2 ] || exit ${x.failed}
`;

/** $3 pattern. Prints paths, each ended by NUL. */
export const searchScript = `${commonScript}
abs "$1" "$2"
folder "$p"
find -H "$p" -ignore_readdir_race -mindepth 1 -name "$3" -print0 2>/dev/null
[ $? -le 1 ] || exit ${x.failed}
`;
