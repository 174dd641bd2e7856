#!/bin/sh
# Run the molecule scenarios on disposable hosts: tools/integration.sh main|floor [SCENARIO...]
# The hosts are removed at the end, however it ends.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
family=$1
shift
python3 "$root/tools/environments.py" "$family"
case $family in
main)
    venv=$root/.venv
    TOOLKIT_MOLECULE_HOSTS='{"molecule13": "trixie", "molecule12": "bookworm"}'
    ;;
floor)
    venv=$root/.build/venvs/floor
    TOOLKIT_MOLECULE_HOSTS='{"floor12": "bookworm"}'
    ;;
esac
if [ ! -d "$venv" ]; then
    exit 0
fi
collection=$(python3 "$root/tools/stage.py")

TOOLKIT_COMMAND=$venv/bin/toolkit
TOOLKIT_MOLECULE_COLLECTIONS=$root/.build
TOOLKIT_MOLECULE_INVENTORY=$root/.build/molecule/$family.yml
NO_COLOR=1
ANSIBLE_NOCOLOR=1
export NO_COLOR ANSIBLE_NOCOLOR TOOLKIT_COMMAND TOOLKIT_MOLECULE_COLLECTIONS TOOLKIT_MOLECULE_HOSTS TOOLKIT_MOLECULE_INVENTORY
mkdir -p "$root/.build/molecule"
printf 'all: {}\n' >"$TOOLKIT_MOLECULE_INVENTORY"

names=$(printf '%s' "$TOOLKIT_MOLECULE_HOSTS" | sed 's/"\([^"]*\)": *"[^"]*"/\1/g; s/[{},]/ /g')
# shellcheck disable=SC2086 # several names
clean() { "$TOOLKIT_COMMAND" host down $names >/dev/null 2>&1 || true; }
trap clean EXIT
trap 'exit 130' INT TERM
clean

PATH=$venv/bin:$PATH
export PATH
cd "$collection"
if [ $# -eq 0 ]; then
    set -- --all
else
    set -- $(printf -- '--scenario-name %s ' "$@")
fi
molecule test "$@"
