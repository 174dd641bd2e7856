#!/usr/bin/env bash
# Gives the host its sources back.
umount /usr/share/tk-big 2>/dev/null
rmdir /usr/share/tk-big 2>/dev/null
rm -f /usr/local/sbin/apt-get /usr/local/sbin/dpkg-query /etc/apt/apt.conf.d/99tk /etc/apt/sources.list.d/tk.list
dpkg --configure --pending >/dev/null 2>&1
dpkg-query -W -f '${Package}\n' 'tk-*' | xargs --no-run-if-empty dpkg --purge --force-all >/dev/null 2>&1
for source in /etc/apt/tk-aside/*; do
  case $source in
    */sources.list) mv "$source" /etc/apt/ ;;
    *) mv "$source" /etc/apt/sources.list.d/ ;;
  esac
done
rm -rf /srv/tk-packages /run/tk-* /etc/apt/tk-aside
rm -rf /var/lib/apt/lists/*_srv_tk-packages_*
# The lists of the sources set aside went with them; scenarios that follow take lists of today for complete.
apt-get update -qq >/dev/null
exit 0
