#!/usr/bin/env bash
# Runs every fuzz target of the tree, $EXECS (default 100000) executions each, and prints how many there were; fails
# where a target finds something or stays below. PART=I/N runs every N-th target from the I-th (from 1) on.
# Arguments, if any, are packages: ./shard ./trainer/recipe.
set -euo pipefail
cd "$(dirname "$0")/.."

execs=${EXECS:-100000}
IFS=/ read -r part parts <<<"${PART:-1/1}"
log=$(mktemp)
# Some targets write a small file for each execution: into memory, where there is a place for that. What is built is too
# large for it.
if [ -d /dev/shm ] && [ -w /dev/shm ]; then
  export GOTMPDIR=${TMPDIR:-/tmp} TMPDIR=/dev/shm
fi
trap 'rm -f "$log"' EXIT

targets() {
  grep -rHE '^func Fuzz' --include='*_test.go' "${@:-.}" | grep -v '^./build/' |
    sed -nE 's|^(.*)/[^/]*_test.go:func (Fuzz[A-Za-z0-9_]*).*|\1 \2|p' | sort -u
}

began=$SECONDS
ran=0
while read -r package target; do
  at=$SECONDS
  ran=$((ran + 1))
  # Minimising an interesting input may take a minute each, in which nothing new is tried.
  if ! go test -run '^$' -fuzz "^$target\$" -fuzztime "${execs}x" -fuzzminimizetime 1x "$package" >"$log" 2>&1; then
    cat "$log"
    exit 1
  fi
  done=$(sed -nE 's/.*execs: ([0-9]+) .*/\1/p' "$log" | tail -1)
  printf '%-32s %-20s %9d executions in %3d s\n' "$package" "$target" "${done:-0}" $((SECONDS - at))
  if [ "${done:-0}" -lt "$execs" ]; then
    echo "fuzz: $target in $package: ${done:-0} executions, fewer than $execs"
    exit 1
  fi
done < <(targets "$@" | awk -v i="$part" -v n="$parts" 'NR % n == i % n')
[ "$ran" -gt 0 ] || { echo "fuzz: no target in ${*:-the tree}"; exit 1; }
echo "fuzz: $ran targets in $((SECONDS - began)) s"
