#!/bin/sh
# Build the wheel and the Galaxy tarball into dist, from what git lists.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
python3 "$root/tools/environments.py" main
collection=$(python3 "$root/tools/stage.py")
mkdir -p "$root/dist"
"$root/.venv/bin/python" -m pip -q wheel --no-build-isolation --no-deps -w "$root/dist" "$collection"
"$root/.venv/bin/ansible-galaxy" collection build --force --output-path "$root/dist" "$collection"
ls "$root/dist"
