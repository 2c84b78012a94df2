#!/bin/sh
# Stands for your agent: does a task and says what came of it. Put yours here, and what it needs into `setup`.
set -eu
if [ "${1-}" = "--self-test" ]; then
  for tool in awk wc; do command -v "$tool" >/dev/null || { echo "no $tool in this machine" >&2; exit 1; }; done
  echo "self-test: ok"
  exit
fi
echo "${AGENT-an agent} works on: $*"
echo "$*" >> /root/tasks.log
echo "finished with $(echo "$*" | wc -w | awk '{ print $1 }') words"
