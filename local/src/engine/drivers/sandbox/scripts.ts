/**
 * The shell scripts that make a sandbox, with nothing but POSIX sh and util-linux. They are written to the state
 * folder, so that the host's process list stays readable.
 *
 * There are two user namespaces, one in the other: the outer one (the host's for root, an own one for an ordinary user)
 * mounts, the inner one holds the machine. What the outer one mounted read-only is locked in the inner one: even
 * a command that got back every capability of its own namespace cannot remount the host's /usr. As root, the machine's
 * uid 0 is an unprivileged uid of the host, so that /proc/sys and the like are not its own either.
 */

/** Names our processes in the host's process list, together with the machine's folder. */
export const startTag = "pulumi-machines-start";

/**
 * $1 tag, $2 machine folder, $3 "root" or "user", $4 boot id, $5 template of the stage, $6 uid base, $7 uid count,
 * $8 host name, $9 cgroup folders, $10 folders below the machine's upper layer, relative to the state folder, the
 * topmost first (both separated by spaces), $11 "host" or "none" for the network. Ends with 75 when another start holds
 * the machine.
 */
export const startScript = `set -eu
folder=$2 mode=$3
here=\${0%/*}
# Held for as long as this process lives: two starts never mount one disk twice.
exec 9>"$folder/lock"
flock -n 9 || exit 75
# Under memory pressure a command should go, not the machine.
{ echo -900 >/proc/self/oom_score_adj; } 2>/dev/null || :
for group in $9; do
  echo 0 >"$group/cgroup.procs"
done
if [ "$mode" = user ]; then
  exec unshare --user --map-root-user --mount --propagation private /bin/sh "$here/setup.sh" "$@"
fi
exec unshare --mount --propagation private /bin/sh "$here/setup.sh" "$@"
`;

/** Functions of every script that mounts. */
export const systemScript = `# What $1 lists as an fstab, in the file $tab, by one program: to start one takes longer than to mount. It takes a folder
# that is bound to itself for mounted already.
mount_all() {
  echo "$1" >"$tab"
  mount -a -T "$tab"
}
# The host's programs and libraries, read-only, in the trees below $2, ...; and what $1 lists.
bind_system() {
  list=$1 bound=
  shift
  for tree in "$@"; do
    for name in usr bin sbin lib lib32 lib64 libx32 nix; do
      at=$tree/$name
      if [ -L "/$name" ] || [ -L "$at" ] || [ ! -d "/$name" ] || [ ! -d "$at" ]; then continue; fi
      list="/$name $at none rbind
$list"
      bound="$bound $at"
    done
  done
  mount_all "$list"
  for at in $bound; do
    read_only "$PWD/$at"
  done
}
read_only() {
  mount -o remount,bind,ro,nosuid,nodev "$1" 2>/dev/null && return
  # An ordinary user must repeat the flags that the host has set.
  flags=$(findmnt -n -o VFS-OPTIONS -M "$1" | head -n 1)
  mount -o "remount,bind,$flags,ro,nosuid,nodev" "$1"
}
# Links to these folders of the state folder $1 in the folder that we stand in, and their names in \$lower: a mount option
# may be no longer than a page, on some systems 256 bytes, and has its own way with odd characters.
link_lower() {
  state=$1 lower=
  shift
  for path in "$@"; do
    ln -s "$state/$path" "$#"
    lower=$lower\${lower:+:}$#
    shift
  done
}
`;

/** Runs in the outer namespace, mounts the machine's tree, and waits for the machine to end. */
export const setupScript = `set -eu
tag=$1 folder=$2 mode=$3 boot=$4 template=$5 base=$6 count=$7 hostname=$8 network=\${11}
here=\${0%/*}
cd -P "$folder"
# Empty both before anything can be taken for a machine that is up.
exec 7>runtime.json 8>ready
${systemScript}# All lies on a folder that anybody may pass: the machine's root has no rights on ours.
mount -t tmpfs -o mode=755,size=1m tmpfs root
mkdir root/stage root/lower
tab=$PWD/root/fstab
cd root/lower
link_lower "$folder/../.." \${10}
# A layer is moved and shared later: nothing in it may refer to where it once was.
options=lowerdir=$lower,upperdir=../../upper,workdir=../../work,index=off,redirect_dir=nofollow,metacopy=off
[ "$mode" = root ] || options=$options,userxattr
# The stage: a root of trusted files only, from which enter.sh lets go of the host's tree.
mount_all "../../../../$template ../stage none bind
overlay ../stage/mnt overlay $options"
cd ../stage
for name in dev proc run; do
  [ -d "mnt/$name" ] && [ ! -L "mnt/$name" ] && continue
  echo "/$name of the machine is no folder any more: it cannot start"
  exit 1
done
bind_system "tmpfs mnt/dev tmpfs mode=755,size=64k,uid=$base,gid=$base
tmpfs mnt/run tmpfs mode=755,uid=$base,gid=$base" . mnt
# Links, folders, and empty files for the devices.
cp -a dev/. mnt/dev
mount_all "/dev/null mnt/dev/null none bind
/dev/zero mnt/dev/zero none bind
/dev/full mnt/dev/full none bind
/dev/random mnt/dev/random none bind
/dev/urandom mnt/dev/urandom none bind
/dev/tty mnt/dev/tty none bind
devpts mnt/dev/pts devpts newinstance,ptmxmode=0666,mode=620
tmpfs mnt/dev/shm tmpfs mode=1777"
read_only "$PWD"
cd -P "$folder"

# A process that holds the inner user namespace until its uids are mapped and the machine has entered it.
holder=
trap '[ -z "$holder" ] || kill -9 "$holder" 2>/dev/null' EXIT
rm -f asks entered
mkfifo -m 600 asks entered
(unshare --user /bin/sh -c 'echo $$ >asks; read -r _ <entered; :' "$tag" "$folder" 7>&- 8>&- 9>&- ||
  echo failed 1<>asks) &
read -r holder <asks
if [ "$holder" = failed ]; then
  holder=
  exit 1
fi
echo "0 $base $count" >"/proc/$holder/uid_map"
echo "0 $base $count" >"/proc/$holder/gid_map"
keep=
[ "$mode" = root ] || keep=--preserve-credentials
exec 6>entered
own=
[ "$network" = host ] || own=--net
cd -P root
# For enter.sh, which is another user and may not write it.
chmod 644 fstab
echo "proc proc proc nosuid,nodev,noexec
proc mnt/proc proc nosuid,nodev,noexec" >fstab
nsenter -t "$holder" -U $keep unshare --mount --propagation private --pid --fork --uts --ipc --cgroup $own \\
  /bin/sh -c "$(cat "$here/enter.sh")" "$tag" "$folder" "$boot" "$hostname" "$network" 9>&- &
inner=$!
cd /
exec 6>&- 7>&- 8>&-
code=0
wait "$inner" || code=$?
exit "$code"
`;

/**
 * The machine's first process, pid 1 inside. Says who it is before all else; at last it drops every capability and
 * becomes init, which says that it is ready and then collects what ends.
 */
export const enterScript = `set -eu
boot=$2 hostname=$3 network=$4
read -r line </proc/self/stat
set -- $line
printf '{"pid":%s,"startTime":"%s.%s"}\\n' "$1" "$boot" "\${22}" >&7
exec 7>&-
echo in >&6
exec 6>&-
hostname "$hostname"
# A copy of each mount: the kernel refuses to make a locked one the root.
mount --rbind stage stage
cd -P stage
mount -a -T ../fstab
# Loopback is down in a new network: its flags are a file while the host's /sys is in sight; elsewhere a tool may do it.
if [ "$network" = none ]; then
  { mount -t sysfs sysfs sys && echo 0x9 >sys/class/net/lo/flags; } 2>/dev/null ||
    ip link set lo up 2>/dev/null || ifconfig lo up 2>/dev/null ||
    echo "loopback stays down: this host needs ip or ifconfig for it"
  umount sys 2>/dev/null || :
fi
# First to the stage: no file of the machine's, such as its ld.so.preload, is used while the host's tree is in reach.
pivot_root . .
umount -l .
cd /
mount --rbind mnt mnt
cd -P mnt
pivot_root . .
umount -l .
cd /
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \\
  setpriv --bounding-set -all --inh-caps -all --no-new-privs \\
  /bin/sh -c 'exec >/dev/null 2>&1 </dev/null
trap : TERM
echo ready >&8
exec 8>&-
while :; do
  sleep 2147483647 &
  wait $!
done' init
`;
