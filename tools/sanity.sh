#!/bin/sh
# Run ansible-test sanity on the staged checkout: tools/sanity.sh main|floor [ARGUMENT...]
# Nothing is downloaded but from the package registry, and nothing is written outside of .build.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
family=$1
shift
case $family in
main) venv=$root/.venv ;;
*) venv=$root/.build/venvs/$family ;;
esac
python3 "$root/tools/environments.py" "$family"
if [ ! -d "$venv" ]; then
    exit 0
fi
# A copy of its own: it leaves files there while it runs.
collection=$(python3 "$root/tools/stage.py" sanity)

# A home of its own: ansible-test keeps the environments of its tests there.
# (Scripts in them start with a path of at most 127 characters, so keep it short.)
home=$root/.build/home
mkdir -p "$home/.ansible/test/cache"
internal=$("$venv/bin/python" -c 'import ansible_test; print(list(ansible_test.__path__)[0])')/_internal
sed -n "s/.*pip='\([0-9.]*\)'.*/\1/p" "$internal/python_requirements.py" | tr . _ | while read -r version; do
    cp "$root/tools/get_pip.py" "$home/.ansible/test/cache/get_pip_$version.py"
done
: "${PIP_CACHE_DIR:=${XDG_CACHE_HOME:-$HOME/.cache}/pip}"
if [ -f "$HOME/.config/pip/pip.conf" ]; then
    : "${PIP_CONFIG_FILE:=$HOME/.config/pip/pip.conf}"
    export PIP_CONFIG_FILE
fi
# Every interpreter found, so that the code for targets is compiled and imported by each of them.
path=$venv/bin
for python in $(python3 "$root/tools/environments.py" --pythons | cut -d' ' -f2); do
    path=$path:$(dirname "$python")
done
# Named, so that it does not look for the git repository above it, which ignores .build.
export ANSIBLE_TEST_CONTENT_ROOT="$collection"
export PIP_QUIET=1 PIP_CACHE_DIR HOME="$home" PATH="$path:$PATH"
unset ANSIBLE_CONFIG PYTHONPATH ANSIBLE_COLLECTIONS_PATH PYTHONDONTWRITEBYTECODE
cd "$collection"
exec "$venv/bin/ansible-test" sanity --color no --truncate 0 "$@"
