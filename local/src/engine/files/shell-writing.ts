/**
 * The file programs that take content. It comes on stdin in frames (see frames.ts): "123\n" and so many bytes, again and
 * again, then "commit\n". An end without that means that our side gave up, or was killed: all is put back as it was.
 */
import { commonScript, fileExit as x } from "./shell-common";

/** Starts the names of files and folders that are not complete yet. */
export const draftPrefix = ".nullspace-draft-";

/** deframe writes the content to stdout; its status is 0 after a commit only. above makes the folders above PATH. */
const writingScript = String.raw`${commonScript}
draft= top=
deframe() {
  while IFS= read -r n; do
    case $n in
      commit) return 0 ;;
      '' | *[!0-9]*) exit ${x.failed} ;;
    esac
    head -c "$n" || exit ${x.failed}
  done
  return 1
}
tidy() {
  [ -z "$draft" ] || rm -rf -- "$draft"
  [ -n "$top" ] || return 0
  while rmdir -- "$dir" 2>/dev/null && [ "$dir" != "$top" ]; do
    parent "$dir"
  done
}
trap tidy EXIT
trap 'exit ${x.abandoned}' HUP INT TERM PIPE
above() {
  parent "$1"
  [ ! -d "$dir" ] || return 0
  [ ! -e "$dir" ] && [ ! -L "$dir" ] || exit ${x.notAFolder}
  target=$dir top=$dir
  while parent "$top" && [ ! -e "$dir" ] && [ ! -L "$dir" ]; do
    top=$dir
  done
  dir=$target
  mkdir -p -- "$dir" || exit ${x.failed}
}
# A draft beside PATH. Another writer that gives up may have taken an empty folder away again.
draft() {
  for _ in 1 2 3; do
    above "$1"
    draft=$(mktemp "$2" -- "$dir/${draftPrefix}XXXXXXXXXX" && echo .) && break
  done
  [ -n "$draft" ] || exit ${x.failed}
  draft=${"${draft%??}"}
}
through() {
  t=$1
  [ -L "$t" ] || return 0
  t=$(realpath -m -- "$t" && echo .) || exit ${x.failed}
  t=${"${t%??}"}
  [ ! -L "$t" ] || exit ${x.wrongKind}
}
`;

/** $3 "exclusive": refuses a file that exists. A link's target is written. Prints the entry. */
export const writeScript = `${writingScript}
abs "$1" "$2"
through "$p"
[ ! -d "$t" ] || exit ${x.isAFolder}
mode=644 owner=
if [ -e "$t" ]; then
  [ -f "$t" ] || exit ${x.wrongKind}
  [ "$3" != exclusive ] || exit ${x.exists}
  # A rename would get round it.
  [ -w "$t" ] || exit ${x.noPermission}
  mode=$(stat -c %a -- "$t") owner=$(stat -c %u:%g -- "$t")
fi
draft "$t" -q
deframe >"$draft" || exit ${x.abandoned}
[ -z "$owner" ] || chown -- "$owner" "$draft" 2>/dev/null
chmod -- "$mode" "$draft" || exit ${x.failed}
if [ "$3" = exclusive ]; then
  ln -T -- "$draft" "$t" || { [ ! -e "$t" ] && [ ! -L "$t" ] || exit ${x.exists}; exit ${x.failed}; }
  rm -f -- "$draft"
else
  mv -fT -- "$draft" "$t" || { [ ! -d "$t" ] || exit ${x.isAFolder}; exit ${x.failed}; }
fi
draft= top=
show "$t"
`;

/**
 * $3 "error", "merge" or "replace". Unpacks aside, then moves all of it in: an archive that is broken changes nothing.
 * A link that is in the way of a folder of the archive is a conflict; on conflicts stdout has the path.
 */
export const unpackScript = `${writingScript}
abs "$1" "$2"
through "$p"
exists=
if [ -e "$t" ]; then
  [ -d "$t" ] && [ "$3" != error ] || exit ${x.exists}
  [ -w "$t" ] && [ -x "$t" ] || exit ${x.noPermission}
  [ "$t" != / ] || [ "$3" != replace ] || exit ${x.wrongKind}
  exists=yes
fi
if [ "$t" = / ]; then draft /x -qd; else draft "$t" -qd; fi
tree=$draft/tree
mkdir -- "$tree" || exit ${x.failed}
{ deframe && : >"$draft/complete"; } | tar -x -f - -C "$tree" --no-same-owner --no-same-permissions --touch
code=$?
[ -e "$draft/complete" ] || exit ${x.abandoned}
[ "$code" = 0 ] || exit ${x.badArchive}
[ -z "$(find "$tree" ! -type d ! -type f ! -type l -printf x -quit)" ] || exit ${x.specialInArchive}
if [ -z "$exists" ]; then
  mv -T -- "$tree" "$t" || { [ ! -e "$t" ] && [ ! -L "$t" ] || exit ${x.exists}; exit ${x.failed}; }
elif [ "$3" = replace ]; then
  chmod --reference="$t" -- "$tree"
  mv -T -- "$t" "$draft/old" || exit ${x.failed}
  mv -T -- "$tree" "$t" || { mv -T -- "$draft/old" "$t"; exit ${x.failed}; }
else
  cd -- "$tree" || exit ${x.failed}
  find . -mindepth 1 -type d -exec sh -c 'for d do
    [ ! -L "$0/$d" ] && { [ -d "$0/$d" ] || [ ! -e "$0/$d" ]; } || { printf "%s" "$d"; exit 1; }
  done' "$t" {} + || exit ${x.exists}
  find . ! -type d -exec sh -c 'for d do
    [ -L "$0/$d" ] || [ ! -d "$0/$d" ] || { printf "%s" "$d"; exit 1; }
  done' "$t" {} + || exit ${x.exists}
  find . -type d -exec sh -c 'for d do
    [ -d "$0/$d" ] || { mkdir -- "$0/$d" && chmod --reference="$d" -- "$0/$d"; } || exit 1
    find "$d" -mindepth 1 -maxdepth 1 ! -type d -print0 | xargs -0 -r mv -f -t "$0/$d" -- || exit 1
  done' "$t" {} + || exit ${x.failed}
  cd /
fi
top=
`;
