/**
 * The two halves of running a command. The first runs outside the machine, outlives the control plane, and records how
 * the command ended; the second is the first thing that runs inside, already without any privilege.
 */
import type { TerminalSize } from "../driver";

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
env=$dir/env stdin=$dir/stdin size=$dir/size
[ -e "$env" ] || env=/dev/null
[ -e "$stdin" ] || stdin=/dev/null
[ -p "$size" ] || size=/dev/null
holder=
if [ -p "$stdin" ]; then
  # Keeps the pipe open for whoever writes later, until it is told to close it.
  (
    trap '' HUP INT TERM
    exec 4>"$stdin"
    read -r _ <>"$dir/close"
    mv -f "$stdin" "$dir/closed"
    exec 4>&-
    # A program that opens /dev/stdin by its name only now would wait for a writer for ever: let one come by.
    for pause in 0.05 0.1 0.2 0.4 0.8 1; do
      sleep "$pause"
      : >"$dir/closed"
    done
  ) </dev/null >/dev/null 2>&1 9<&- &
  holder=$!
  # On descriptor 9 the command gets the pipe's name and not the pipe: what only waits for it must not hold it open.
  [ ! -e /proc/self/fd/9 ] || stdin=/dev/null
fi
(
  # Values may be secrets: the files go as soon as they are open.
  if [ -f "$dir/env" ] || [ -f "$dir/stdin" ]; then
    rm -f "$dir/env"
    [ -p "$dir/stdin" ] || rm -f "$dir/stdin"
  fi
  while [ "$joins" -gt 0 ]; do
    echo 0 >"$1/cgroup.procs" || exit 126
    shift
    joins=$((joins - 1))
  done
  exec "$@"
) <"$stdin" 3<"$env" 6>>"$dir/begun" 7<>"$size" 8>>"$dir/sizes" >>"$dir/stdout" 5>>"$dir/stderr" 2>>"$dir/start-error"
code=$?
[ -z "$holder" ] || kill -9 "$holder" 2>/dev/null
# By the shell itself: a program started for it would be killed with what is left of the command.
echo "$code" >"$dir/exit"
[ -z "$holder" ] || rm -f "$dir/stdin" "$dir/closed" "$dir/close" "$dir/size"
`;

/**
 * The first thing inside: $1 flags, $2 working folder. Shell text that sets the environment comes in on descriptor 3, on 6
 * goes out that the command begins. The flags: m makes the folder, i reads stdin from the pipe that 9 names,
 * p says at the prompt's place that a program is missing.
 */
const enter = `if [ -f /dev/fd/3 ]; then
  pm_vars=$(cat <&3) && eval "$pm_vars"
  unset pm_vars
fi
exec 3<&-
pm_flags=$1
case $pm_flags in *i*) [ ! -e /proc/self/fd/9 ] || exec </proc/self/fd/9 9<&- ;; esac
case $pm_flags in *m*) mkdir -p -- "$2" 2>/dev/null ;; esac
CDPATH= cd -- "$2" || exit 126
shift 2
`;

/** $1 flags, $2 working folder, then the command. */
export const insideScript = `${enter}command -v -- "$1" >/dev/null 2>&1 || {
  case $pm_flags in *p*) exec 2>&5 ;; esac
  printf '%s: command not found\\n' "$1" >&2
  exit 127
}
echo >&6
exec "$@" 2>&5 5>&- 6>&- 7>&- 8>&-
`;

/**
 * $1 flags, $2 working folder, $3 shell text that runs the command, $4 its program.
 * Sizes come in on descriptor 7, as does the terminal's name; each that was set is told on 8.
 */
export const terminalScript = `${enter}command -v -- "$2" >/dev/null 2>&1 || {
  printf '%s: command not found\\r\\n' "$2"
  exit 127
}
command -v script >/dev/null 2>&1 || {
  echo 'a terminal needs the program script of util-linux: install it (bsdutils, util-linux or util-linux-script)' >&2
  exit 126
}
: "\${TERM:=xterm-256color}"
export TERM
(
  tty= cols= rows=
  while read -r what first second <&7; do
    case $what in
      tty) tty=$first ;;
      size) cols=$first rows=$second ;;
    esac
    if [ -n "$tty" ] && [ -n "$cols" ]; then
      stty cols "$cols" rows "$rows" <"$tty"
      echo "$cols $rows" >&8
    fi
  done
) </dev/null >/dev/null 2>&1 5>&- 6>&- &
pm_sizes=$!
pm_shell=$SHELL SHELL=/bin/sh script -q -e -f -E never -c "$1" /dev/null 5>&- 8>&-
pm_code=$?
kill "$pm_sizes" 2>/dev/null
exit "$pm_code"
`;

/** On the terminal: $1 columns, $2 rows, then the command. What was typed before it begins is not echoed. */
const onTerminal = `echo "tty $(tty)" >&7
SHELL=$pm_shell
export SHELL
unset pm_shell
stty cols "$1" rows "$2" iutf8 echo
shift 2
echo >&6
exec "$@" 6>&- 7>&-
`;

/** Shell text that runs a command on the terminal that it is read on. */
export const onTerminalText = (command: readonly string[], { cols, rows }: TerminalSize): string =>
  ["exec", "/bin/sh", "-c", onTerminal, "sh", String(cols), String(rows), ...command].map(quoted).join(" ");

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** Shell text that exports these variables. Names must have been checked. */
export function exportText(env: Readonly<Record<string, string>>): string {
  return Object.entries(env)
    .map(([name, value]) => `export ${name}=${quoted(value)}\n`)
    .join("");
}
