#!/usr/bin/env bash
# Installs versitygw, the S3 server of the tests, into build/bin once, and prints its path.
set -euo pipefail
cd "$(dirname "$0")/.."
version=v1.8.0
binary=$PWD/build/bin/versitygw
if [ ! -x "$binary" ] || [ "$(cat "$binary.version" 2>/dev/null)" != "$version" ]; then
  mkdir -p build/bin
  echo "versitygw: installing $version into build/bin (a minute the first time)" >&2
  GOWORK=off GOFLAGS=-mod=mod GOBIN="$PWD/build/bin" go install "github.com/versity/versitygw/cmd/versitygw@$version" >&2
  echo "$version" >"$binary.version"
fi
echo "$binary"
