/** The file programs that change names and modes. $1 is the base of relative paths, $2 the path. */
import { commonScript, fileExit as x } from "./shell-common";

/** Never goes into a mount below the path: the host's /usr is one. */
export const removeScript = `${commonScript}
abs "$1" "$2"
[ "$p" != / ] || exit ${x.wrongKind}
there "$p"
rm -rf --one-file-system -- "$p" 2>/dev/null && exit 0
# Without capabilities even root cannot empty a folder that is read-only for its owner, such as a cache of Go modules.
find "$p" -xdev -type d ! -perm -700 -exec chmod u+rwx -- {} + 2>/dev/null
rm -rf --one-file-system -- "$p" || exit ${x.failed}
`;

/** $3 the new path. Replaces a file or an empty folder, as rename(2) does. Prints the entry. */
export const renameScript = `${commonScript}
abs "$1" "$2"
from=$p
abs "$1" "$3"
[ "$from" != / ] || exit ${x.wrongKind}
there "$from"
case $p in
  "$from") show "$p"; exit 0 ;;
  "$from"/*) exit ${x.wrongKind} ;;
esac
parent "$p"
[ -d "$dir" ] || why "$p"
if [ -d "$p" ] && [ ! -L "$p" ]; then
  [ -d "$from" ] && [ ! -L "$from" ] || exit ${x.exists}
  [ -z "$(find "$p" -mindepth 1 -maxdepth 1 -printf x -quit)" ] || exit ${x.exists}
elif [ -e "$p" ] || [ -L "$p" ]; then
  [ ! -d "$from" ] || [ -L "$from" ] || exit ${x.exists}
fi
mv -fT -- "$from" "$p" || exit ${x.failed}
show "$p"
`;

export const makeFolderScript = `${commonScript}
abs "$1" "$2"
[ ! -d "$p" ] || exit 0
[ ! -e "$p" ] && [ ! -L "$p" ] || exit ${x.exists}
mkdir -p -- "$p" || exit ${x.failed}
`;

/** $3 mode in octal. */
export const permissionsScript = `${commonScript}
abs "$1" "$2"
there "$p"
[ -e "$p" ] || exit ${x.notFound}
chmod -- "$3" "$p" || exit ${x.failed}
`;
