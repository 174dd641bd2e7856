#!/usr/bin/env bash
# Removes what units.sh made.
rm -f /usr/local/sbin/systemctl
cd /etc/systemd/system || exit 1
for unit in tk-*; do
  case $unit in
    *@*) ;;
    *) units+=("$unit") ;;
  esac
done
systemctl stop "${units[@]}" 'tk-@one.service' 2>/dev/null
systemctl disable --quiet "${units[@]}" 2>/dev/null
rm -f /etc/systemd/system/tk-* /etc/systemd/system/*.wants/tk-* /var/lib/scripts-toolkit/owed/tk-* /run/tk-*
systemctl daemon-reload
systemctl reset-failed
