#!/usr/bin/env bash
# Makes units that behave well and badly, and a systemctl that writes down how it is called.
set -eu
cd /etc/systemd/system
unit() { # NAME, lines of [Service]
  printf '[Unit]\nDescription=A test\n[Service]\n%b\n[Install]\nWantedBy=multi-user.target\n' "$2" >"$1.service"
}
unit tk-good 'Type=exec\nExecStart=/bin/sleep inf\nExecReload=/bin/sh -c "echo reload >>/run/tk-good.log"'
unit tk-plain 'Type=exec\nExecStartPre=/bin/sh -c "echo start >>/run/tk-plain.log"\nExecStart=/bin/sleep inf'
unit tk-stubborn 'Type=exec\nExecStart=/bin/sleep inf\nExecReload=/bin/sh -c "test -e /run/tk-reload-works"'
unit tk-mortal "Type=exec\nExecStart=/bin/sh -c 'trap \"exit 9\" HUP; while :; do sleep 0.2; done'\nExecReload=/bin/kill -HUP \$MAINPID"
unit tk-fails "Type=exec\nExecStart=/bin/sh -c 'echo these are my last words; exit 7'"
unit tk-loops "ExecStart=/bin/sh -c 'sleep 0.1; exit 1'\nRestart=always\nRestartSec=50ms"
unit tk-hangs 'Type=notify\nExecStart=/bin/sleep inf'
unit tk-@ 'Type=exec\nExecStart=/bin/sleep inf'
printf '[Service]\nExecStart=/bin/sleep inf\n' >tk-static.service
printf '[Timer]\nOnCalendar=yearly\nUnit=tk-plain.service\n[Install]\nWantedBy=timers.target\n' >tk-yearly.timer
cat >/usr/local/sbin/systemctl <<'END'
#!/bin/sh
echo "$*" >>/run/tk-systemctl.log
exec /usr/bin/systemctl "$@"
END
chmod 0755 /usr/local/sbin/systemctl
/usr/bin/systemctl daemon-reload
mkdir -p /var/lib/scripts-toolkit/owed
chmod 0700 /var/lib/scripts-toolkit/owed
rm -f /run/tk-*.log /run/tk-reload-works /var/lib/scripts-toolkit/owed/tk-*
