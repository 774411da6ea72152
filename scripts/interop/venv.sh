#!/usr/bin/env bash
# venv.sh makes build/interop, a Python with the peers that read our files (requirements.txt beside it),
# and prints its interpreter. It takes a minute the first time and nothing after that.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=build/interop
want=$(sha256sum scripts/interop/requirements.txt)

if [ "$(cat $venv/stamp 2>/dev/null || true)" != "$want" ]; then
  if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
    echo "interop: python3 with venv is needed: run 'sudo apt-get install python3-venv' (Debian, Ubuntu)" >&2
    exit 1
  fi
  began=$SECONDS
  echo "interop: installing the Python peers into $venv" >&2
  python3 -m venv --clear $venv >&2
  $venv/bin/pip install --quiet --disable-pip-version-check -r scripts/interop/requirements.txt >&2
  echo "$want" >$venv/stamp
  echo "interop: done in $((SECONDS - began)) s" >&2
fi
echo "$PWD/$venv/bin/python"
