#!/bin/sh
# Run the unit tests on the staged checkout: tools/unit.sh main|floor [PYTEST ARGUMENT...]
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
family=$1
shift
python3 "$root/tools/environments.py" "$family"
case $family in
main) venv=$root/.venv ;;
*) venv=$root/.build/venvs/$family ;;
esac
if [ ! -d "$venv" ]; then
    exit 0
fi
cd "$(python3 "$root/tools/stage.py")"
unset ANSIBLE_CONFIG ANSIBLE_COLLECTIONS_PATH PYTHONPATH
exec "$venv/bin/python" -m pytest -q "$@"
