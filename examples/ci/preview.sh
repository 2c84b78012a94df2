#!/bin/sh
# The preview of a stack as report.md and report.json, for any CI: sh preview.sh STACK [arguments of pulumi preview]
# Ends with 0 when nothing is lost, 3 when a disk is lost or a machine restarts (0 with MAY_BE_LOST=1), 1 on errors.
set -eu

if [ $# -eq 0 ]; then
  echo "usage: sh preview.sh STACK [arguments of pulumi preview]" >&2
  exit 1
fi
stack=$1
shift

# A preview that fails has its reasons in the JSON.
# It is not kept: Pulumi shows the value of a secret in it that a check refuses.
preview=$(mktemp)
trap 'rm -f "$preview"' EXIT
pulumi preview --json --show-sames --non-interactive --stack "$stack" "$@" > "$preview" || true

code=0
npx --no-install pulumi-machines report < "$preview" > report.md || code=$?
npx --no-install pulumi-machines report --json --exit-zero < "$preview" > report.json || true

case "$code" in
  0 | 2) exit 0 ;;
  3) if [ "${MAY_BE_LOST:-}" = 1 ]; then exit 0; fi ;;
esac
cat report.md
exit "$code"
