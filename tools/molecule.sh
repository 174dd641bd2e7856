#!/bin/sh
# Run the molecule scenarios on disposable hosts: tools/molecule.sh main|floor [SCENARIO...]
# The hosts are removed at the end, however it ends.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
family=$1
shift
python3 "$root/tools/environments.py" "$family"
case $family in
main)
    venv=$root/.venv
    hosts="molecule13=trixie"
    ;;
*)
    venv=$root/.build/venvs/$family
    hosts="molecule-$family=bookworm"
    ;;
esac
if [ ! -d "$venv" ]; then
    exit 0
fi
collection=$(python3 "$root/tools/stage.py")
work=$root/.build/molecule
mkdir -p "$work"

export TOOLKIT_COMMAND="$venv/bin/toolkit"
export TOOLKIT_MOLECULE_COLLECTIONS="$root/.build"
export TOOLKIT_MOLECULE_HOSTS="$hosts"
export TOOLKIT_MOLECULE_INVENTORY="$work/$family.yml"
export SCRIPTS_TOOLKIT_AUDIT_LOG_DIRECTORY="$work/audit"
export SCRIPTS_TOOLKIT_AUDIT_METRICS_PATH="$work/metrics.prom"
# Molecule keeps notes there, and warns when they are of an older configuration.
export MOLECULE_EPHEMERAL_DIRECTORY="$work/notes-$family"
export NO_COLOR=1 ANSIBLE_NOCOLOR=1 PATH="$venv/bin:$PATH"
printf 'all: {}\n' >"$TOOLKIT_MOLECULE_INVENTORY"

# Connections of their own: a host that is made anew has the address of the old one.
ANSIBLE_SSH_CONTROL_PATH_DIR=$(mktemp -d)
export ANSIBLE_SSH_CONTROL_PATH_DIR

clean() {
    rm -rf "$MOLECULE_EPHEMERAL_DIRECTORY" "$ANSIBLE_SSH_CONTROL_PATH_DIR"
    for host in $hosts; do
        "$TOOLKIT_COMMAND" host down "${host%%=*}" >/dev/null 2>&1 || true
    done
}
trap clean EXIT
trap 'exit 130' INT TERM
clean

cd "$collection"
if [ $# -eq 0 ]; then
    for play in extensions/molecule/*/converge.yml; do
        scenario=$(basename "$(dirname "$play")")
        # On the oldest core, the modules; the roles are proved by the whole profile (tests/integration/provision).
        case $family/$scenario in
        floor/role_*) ;;
        *) set -- "$@" "$scenario" ;;
        esac
    done
fi
# One call each, so that a failing scenario does not keep the others from running (molecule would stop there). Whatever
# state it leaves the hosts in, the next one gets fresh ones.
molecule create --scenario-name default
status=0
for scenario; do
    began=$(date +%s)
    if molecule converge --scenario-name "$scenario"; then
        result=ok
    else
        result=FAILED
        status=1
        clean
        molecule create --scenario-name default
    fi
    summary="${summary:-}$(printf 'SCENARIO %-24s %-6s %4d s' "$scenario" $result $(($(date +%s) - began)))
"
done
printf '%s' "${summary:-}"
exit $status
