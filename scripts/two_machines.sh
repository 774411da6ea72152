#!/usr/bin/env bash
# Does what docs/fleet.md tells somebody with two machines, in network namespaces, on a disk and in a bucket.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/versitygw.sh >/dev/null
mkdir -p build/bin
go test -c -o build/bin/fleet.test ./cmd/actfleet
cd cmd/actfleet
exec ../../scripts/own_net.sh ../../build/bin/fleet.test -test.run '^TestTwoMachines$' -test.v -test.timeout 5m
