#!/usr/bin/env bash
# package.sh OUT.tar.gz packs scripts/gpu/check.sh with all it needs on a machine that has PyTorch and g++, but neither Go nor
# a network: the program, the C++ of libtch.so and of the GPU for tests, small checkpoints. It must stay below 60 MB.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$(realpath -m "$1") build=$(realpath -m "${BUILD:-build}") limit=60000000
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
to=$stage/actfleet-gpu
mkdir -p "$to/bin" "$to/build" "$(dirname "$out")"
go build -ldflags "-s -w -X main.stamp=$(git describe --tags --always --dirty)" -o "$to/bin/actfleet" ./cmd/actfleet
cp -r "$build/src" "$to/build/src"
ln -s build/lib "$to/lib" # the program looks for libtch.so in ../lib before it looks where this checkout builds it
cp --parents go.mod go.sum internal/torch/*.go scripts/setup.sh scripts/setup/* scripts/gpu/*.{sh,py} \
	collector/model/modeltest/testdata/*/{config.json,model.safetensors} "$to"
cp -r --parents internal/torch/shim internal/torch/fakegpu/cuda internal/torch/reduce/gloo examples/tiny-phi "$to"
tar -C "$stage" --sort=name --owner=0 --group=0 --numeric-owner -cf - actfleet-gpu | gzip -9 >"$out"
size=$(stat -c %s "$out")
[ "$size" -le $limit ] || { echo "package: $out has $size bytes, more than $limit" >&2; exit 1; }
echo "package: $out, $((size / 1000000)) MB; tar -xzf it and run actfleet-gpu/scripts/gpu/check.sh"
