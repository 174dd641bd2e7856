#!/bin/sh
# Wait for the sandboxed sleep, look for secrets in all argument lists, kill the module that waits for it, wait until all
# is gone, and look for what is left of the secrets.
until pgrep -fx 'sleep 4343' >/dev/null; do sleep 0.05; done
cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' | grep -e 'tk-hidden-[w]ord' -e 'tk-hidden-[i]nput'
pkill -KILL -f 'AnsiballZ_sandbox_comman[d]' && echo killed
for _ in $(seq 600); do
    left=$(pgrep -fx 'sleep 4343'; systemctl list-units --all --plain --no-legend 'toolkit-sandbox-*')
    [ -n "$left" ] || break
    sleep 0.1
done
echo "${left:-nothing left}"
grep -rls -e 'tk-hidden-[w]ord' -e 'tk-hidden-[i]nput' /run/scripts-toolkit
journalctl -o export | grep -a -e 'tk-hidden-[w]ord' -e 'tk-hidden-[i]nput'
exit 0
