#!/bin/sh
# Put the targets of the attacks on the host, serve them, and print what they are: start.sh ADDRESS
set -eu
address=$1
systemctl stop tk-targets 2>/dev/null || true
rm -f /srv/tk-sandbox/targets.json
systemd-run --quiet --collect --unit=tk-targets /usr/bin/python3 /usr/local/lib/tk-targets.py "$address"
until [ -e /srv/tk-sandbox/targets.json ]; do sleep 0.05; done
cat /srv/tk-sandbox/targets.json
