#!/usr/bin/env bash
# check.sh measures on a GPU what tests cannot show, and proves there what they show without one, in at most eight minutes:
# a JSON line for each step on standard output (scripts/gpu/check.py), exit status 1 when one failed.
#
#   scripts/gpu/check.sh          on a machine with a GPU, PyTorch and g++; in a checkout after make build, or where the
#                                 package of make gpu-package was unpacked (no Go, no network)
#   scripts/gpu/check.sh --toy    everything tiny, on the GPU for tests (internal/torch/fakegpu): in a minute
#
# PYTHON is the Python with torch (default python3). The model and its shards, 40 GB, go to TMPDIR or, where that has no room
# or is not set, to /dev/shm.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PYTHON=${PYTHON:-python3}
case "${1:-}" in
"" | --toy) ;;
*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; exit 2 ;;
esac
[ -x bin/actfleet ] || { echo "check: there is no bin/actfleet: make build, or unpack the package of make gpu-package" >&2; exit 2; }
[ -e build/lib/libtch.so ] || scripts/setup.sh --shim-only >&2
if [ "${1:-}" = --toy ]; then
	scripts/setup.sh --fakegpu >&2
	export LD_LIBRARY_PATH=$PWD/build/fakegpu FAKEGPU_DEVICES=2
fi
exec "$PYTHON" scripts/gpu/check.py "$@" --seconds $((480 - SECONDS))
