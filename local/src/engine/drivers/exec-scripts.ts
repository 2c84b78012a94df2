/**
 * The two halves of running a command. The first runs outside the machine, outlives the control plane, and records how
 * the command ended; the second is the first thing that runs inside, already without any privilege.
 */

/** Names our shells in the host's process list, together with the machine's folder. */
export const execTag = "pulumi-machines-exec";

/**
 * $1 tag, $2 machine folder, $3 exec folder, $4 boot id, $5 how many cgroup folders follow, then they, then argv.
 * It starts a session, so that its descendants can be found. Errors before the command runs go to `start-error`.
 */
export const execScript = `dir=$3 boot=$4 joins=$5
shift 5
identity() {
  if [ -r /proc/self/stat ]; then
    read -r line </proc/self/stat
    set -- $line
    echo "$1 $boot.\${22}"
  else
    set -- $(LC_ALL=C ps -o lstart= -p $$)
    echo "$$ $*"
  fi
}
identity >"$dir/pid"
env=$dir/env stdin=$dir/stdin
[ -e "$env" ] || env=/dev/null
[ -e "$stdin" ] || stdin=/dev/null
(
  # Values may be secrets: the files go as soon as they are open.
  [ "$env$stdin" = /dev/null/dev/null ] || rm -f "$dir/env" "$dir/stdin"
  while [ "$joins" -gt 0 ]; do
    echo 0 >"$1/cgroup.procs" || exit 126
    shift
    joins=$((joins - 1))
  done
  exec "$@"
) <"$stdin" 3<"$env" >>"$dir/stdout" 5>>"$dir/stderr" 2>>"$dir/start-error"
code=$?
echo "$code" >"$dir/exit.new"
mv -f "$dir/exit.new" "$dir/exit"
`;

/** $1 working folder, then the command. Shell text that sets the environment comes in on descriptor 3. */
export const insideScript = `if [ -f /dev/fd/3 ]; then
  pm_vars=$(cat <&3) && eval "$pm_vars"
  unset pm_vars
fi
exec 3<&-
CDPATH= cd -- "$1" || exit 126
shift
command -v -- "$1" >/dev/null 2>&1 || {
  printf '%s: command not found\\n' "$1" >&2
  exit 127
}
exec "$@" 2>&5 5>&-
`;

/** Shell text that exports these variables. Names must have been checked. */
export function exportText(env: Readonly<Record<string, string>>): string {
  return Object.entries(env)
    .map(([name, value]) => `export ${name}='${value.replaceAll("'", `'\\''`)}'\n`)
    .join("");
}
