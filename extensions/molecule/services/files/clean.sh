#!/bin/bash
# Removes what units.sh made.
rm -f /usr/local/sbin/systemctl
units=$(cd /etc/systemd/system && ls -d tk-* | grep -v '@')
systemctl stop $units 'tk-@one.service' 2>/dev/null
systemctl disable --quiet $units 2>/dev/null
rm -f /etc/systemd/system/tk-* /etc/systemd/system/*.wants/tk-* /var/lib/scripts-toolkit/owed/tk-* /run/tk-*
systemctl daemon-reload
systemctl reset-failed
