#!/usr/bin/env bash
# The proof with real processes: scripts/fleet.sh [SEEDS] (default 1; CI's form). Runs in a network of its own where
# that is allowed, so that nodes can be cut off from each other; elsewhere without partitions.
set -euo pipefail
cd "$(dirname "$0")/.."
export ACTFLEET_FLEET_SEEDS=${1:-1} ACTFLEET_VERSITYGW
ACTFLEET_VERSITYGW=$(scripts/versitygw.sh)
mkdir -p build/bin
go test -c -o build/bin/fleet.test ./cmd/actfleet
cd cmd/actfleet
exec ../../scripts/own_net.sh ../../build/bin/fleet.test -test.run '^TestFleet$' -test.v -test.timeout 5h
