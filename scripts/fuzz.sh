#!/usr/bin/env bash
# Runs every fuzz target of the tree for $FUZZTIME (default 10s) each.
set -euo pipefail
cd "$(dirname "$0")/.."
grep -rlE '^func Fuzz' --include='*_test.go' . | grep -v '^./build/' | while read -r file; do
  for target in $(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*).*/\1/p' "$file"); do
    echo "fuzz: $target in $(dirname "$file")"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-10s}" "./$(dirname "$file")"
  done
done
