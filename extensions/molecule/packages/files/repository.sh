#!/usr/bin/env bash
# Makes a repository of small packages, the only source of this host for the time of the test.
set -eu
rm -rf /srv/tk-packages /run/tk-*
mkdir -p /srv/tk-packages
cd /srv/tk-packages
package() { # NAME VERSION EXTRA-CONTROL-LINES [POSTINST]
  work=$(mktemp -d)
  mkdir "$work/DEBIAN"
  printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: Test <test@example.com>\nDescription: test\n%b' \
    "$1" "$2" "$3" >"$work/DEBIAN/control"
  # shellcheck disable=SC2016 # expanded by the script that it writes
  [ $# -lt 4 ] || { printf '#!/bin/sh\n[ "$1" = configure ] || exit 0\n%b\n' "$4" >"$work/DEBIAN/postinst"; chmod 0755 "$work/DEBIAN/postinst"; }
  mkdir -p "$work/usr/share/$1"
  head -c 40000 /dev/urandom >"$work/usr/share/$1/data"
  chmod 0755 "$work"
  dpkg-deb --root-owner-group -b "$work" "$1_$2_all.deb" >/dev/null
  rm -r "$work"
}
package tk-base 1 ''
package tk-user 1 'Depends: tk-base\nProvides: tk-virtual\n'
package tk-foe 1 'Conflicts: tk-base\n'
package tk-grows 1 ''
package tk-grows 2 ''
package tk-broken 1 '' 'echo my own script fails; exit 3'
package tk-slow 1 'Depends: tk-base\n' 'if [ -e /run/tk-wait ]; then touch /run/tk-waiting; sleep 60; fi'
package tk-big 1 ''
for file in *.deb; do
  dpkg-deb -f "$file"
  printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$file" "$(stat -c %s "$file")" "$(sha256sum "$file" | cut -d' ' -f1)"
done >Packages
mkdir -p /etc/apt/tk-aside
for source in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
  [ ! -e "$source" ] || mv "$source" /etc/apt/tk-aside/
done
echo 'deb [trusted=yes] file:/srv/tk-packages ./' >/etc/apt/sources.list.d/tk.list
echo 'Acquire::Retries "0";' >/etc/apt/apt.conf.d/99tk
for program in apt-get dpkg-query; do
  # shellcheck disable=SC2016 # expanded by the program that it writes
  printf '#!/bin/sh\necho "%s $*" >>/run/tk-calls\nexec /usr/bin/%s "$@"\n' "$program" "$program" >"/usr/local/sbin/$program"
  chmod 0755 "/usr/local/sbin/$program"
done
