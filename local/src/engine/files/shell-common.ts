/**
 * What every file program begins with. The programs are POSIX sh with GNU coreutils and findutils; they get paths as
 * arguments only, and say what went wrong by their exit code.
 */

/** Exit codes of the file programs; far from those of the tools and of shells. */
export const fileExit = {
  notFound: 60,
  exists: 61,
  wrongKind: 62,
  noPermission: 63,
  noAccount: 64,
  /** A tool failed; its own words are on stderr. */
  failed: 65,
  notAFolder: 66,
  isAFolder: 67,
  badArchive: 68,
  specialInArchive: 69,
  badPattern: 70,
  /** Our side has gone away in the middle; nothing is left behind. */
  abandoned: 71,
} as const;

/** Fields of one entry, each ended by NUL: path, kind, size, mode, permissions, owner, group, time, link target. */
export const entryFormat = String.raw`%p\0%y\0%s\0%m\0%M\0%u\0%g\0%T@\0%l\0`;

const x = fileExit;

/**
 * abs BASE PATH sets p: absolute, without "." and ".." and double slashes; a relative path starts in BASE, or HOME where
 * that is empty. there PATH ends the program unless something is there. why PATH ends it with the reason that nothing is.
 * parent PATH sets dir. Text that comes from a tool gets a dot behind it, since $( ) would drop newlines of a name.
 */
export const commonScript = String.raw`umask 022
unset LANGUAGE CDPATH
LC_ALL=C.UTF-8
export LC_ALL
entry='${entryFormat}'
abs() {
  case $2 in
    /*) p=$2 ;;
    '~') p=$HOME ;;
    '~/'*) p=$HOME/${"${2#??}"} ;;
    *) p=${"${1:-$HOME}"}/$2 ;;
  esac
  case $p/ in
    *//* | */./* | */../*)
      p=$(realpath -ms -- "$p" && echo .) || exit ${x.failed}
      p=${"${p%??}"}
      ;;
  esac
}
parent() {
  dir=${"${1%/*}"}
  [ -n "$dir" ] || dir=/
}
why() {
  up=$1
  while [ "$up" != / ]; do
    parent "$up"
    up=$dir
    if [ -d "$up" ]; then
      [ -x "$up" ] || exit ${x.noPermission}
      exit ${x.notFound}
    fi
    [ ! -e "$up" ] || exit ${x.notAFolder}
  done
  exit ${x.notFound}
}
there() {
  [ -e "$1" ] || [ -L "$1" ] || why "$1"
}
folder() {
  there "$1"
  [ -d "$1" ] || exit ${x.notAFolder}
  [ -r "$1" ] && [ -x "$1" ] || exit ${x.noPermission}
}
show() {
  find "$1" -maxdepth 0 -printf "$entry" || exit ${x.failed}
}
`;
