#!/usr/bin/env bash
# venv.sh [NAME] makes build/NAME, a Python with the packages of NAME.txt beside this script, and prints its
# interpreter: interop (the default) has those that read our files and takes a minute the first time; peers has
# torch and the SAE packages, 2.6 GB to fetch, 6.7 GB on disk and some minutes. Afterwards it takes no time.
set -euo pipefail
cd "$(dirname "$0")/../.."
name=${1:-interop}
venv=build/$name
list=scripts/interop/$name.txt
want=$(sha256sum "$list")

# Two targets of make may ask at once; the second one waits and finds the work done.
mkdir -p build
exec 9>"$venv.lock"
flock 9

if [ "$(cat "$venv/stamp" 2>/dev/null || true)" != "$want" ]; then
  if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
    echo "interop: python3 with venv is needed: run 'sudo apt-get install python3-venv' (Debian, Ubuntu)" >&2
    exit 1
  fi
  began=$SECONDS
  echo "interop: installing the Python packages of $list into $venv" >&2
  python3 -m venv --clear "$venv" >&2
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$list" >&2
  echo "$want" >"$venv/stamp"
  echo "interop: done in $((SECONDS - began)) s" >&2
fi
echo "$PWD/$venv/bin/python"
