#!/bin/sh
# Run pytest on the staged checkout: tools/pytest.sh main|floor [PYTEST ARGUMENT...]; the unit tests without an argument.
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
tree=$(python3 "$root/tools/stage.py")
cd "$tree"
unset ANSIBLE_CONFIG ANSIBLE_COLLECTIONS_PATH PYTHONPATH
# Other tools read the same tree at the same time.
export PYTHONDONTWRITEBYTECODE=1
# Without it, pytest cuts what it says of a failure to 80 columns.
export CI=true
exec "$venv/bin/python" -m pytest -q "$@"
