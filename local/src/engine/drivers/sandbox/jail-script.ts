/** The script in which layers are copied, see jail.ts. */
import { systemScript } from "./scripts";

/**
 * $1 state folder, $2 template of the stage, $3 mode, $4 job folder, $5 folder to copy from; when that is empty, the
 * folders that follow, merged. Then it reads names of steps, one a line, and answers each with its exit code.
 *
 * /mnt is what is copied, /media the job folder: `tree` in it is what is made, the rest are lists.
 */
export const jailScript = `set -eu
state=$1 template=$2 mode=$3 job=$4 source=$5
shift 5
cd -P "$job"
${systemScript}mkdir jail
mount -t tmpfs -o mode=755,size=1m tmpfs jail
mkdir jail/stage jail/lower
tab=$PWD/jail/fstab
cd jail/lower
if [ -n "$source" ]; then
  ln -s "$source" source
  what="source ../stage/mnt none bind"
else
  link_lower "$state" "$@"
  [ "$mode" = root ] || lower=$lower,userxattr
  what="overlay ../stage/mnt overlay ro,lowerdir=$lower"
fi
ln -s "$state/$template" template
mount_all "template ../stage none bind
$what"
cd ../stage
[ -z "$source" ] || read_only "$PWD/mnt"
# Tools change modes by /proc, and umount reads it; there is nothing in it but them.
bind_system "/dev/null dev/null none bind
../.. media none bind
proc proc proc ro,nosuid,nodev,noexec" .
read_only "$PWD"
pivot_root . .
umount -l .
cd /media

looks() {
  # A folder's own size says nothing of what is in it.
  find . \\( -type d -printf '%y %i %n %C@|%T@ %m %U %G 0|%P\\0' -o -printf '%y %i %n %C@|%T@ %m %U %G %s|%P\\0' \\)
}
scan() {
  (cd /mnt && find . -type d -exec stat --printf '%.9W|%n\\0' {} +) >births &
  (cd /mnt && looks) >scan && wait "$!"
}
check() {
  (cd tree && looks) >check
}
copy() {
  cp -a --reflink=auto --preserve=xattr /mnt/. tree
}
whiteout() {
  mknod whiteout c 0 0
}
# Whole: all there is to a file or folder. Kept: folders that go on below, where an attribute of overlayfs would hide it.
delta() (
  cd /mnt
  if [ -s /media/files ]; then
    xargs -0 -a /media/files cp -a --reflink=auto --preserve=xattr --parents -t /media/tree || exit
  fi
  by_tar /media/whole && by_tar /media/kept --xattrs-exclude='*.overlay.*'
)
by_tar() {
  [ -s "$1" ] || return 0
  list=$1
  shift
  rm -f /media/failed
  { tar -c -S --format=posix --acls --xattrs --xattrs-include='*' "$@" --null --no-recursion -T "$list" ||
    : >/media/failed; } |
    tar -x -p --same-owner --numeric-owner --acls --xattrs --xattrs-include='*' -C /media/tree &&
    [ ! -e /media/failed ]
}
echo 0
while read -r step; do
  code=0
  "$step" 2>errors || code=$?
  echo "$code"
done
`;
