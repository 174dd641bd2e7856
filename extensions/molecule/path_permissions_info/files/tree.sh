#!/usr/bin/env bash
# Makes a tree below /srv/tk with one fault of each kind, each in a place that has its name.
set -eu
umask 022
top=/srv/tk
mkdir -p "$top"/{good,acl,privileges,links,open/inner,outside,flags,secret,find}
id tk-mallory >/dev/null 2>&1 || useradd --create-home tk-mallory
printf '#!/bin/sh\n' >"$top/good/run.sh"
chmod 0755 "$top/good/run.sh"
ln -s run.sh "$top/good/run"

cd "$top/acl"
touch writer reader group masked
mkdir default
setfacl -m u:tk-mallory:rw writer
setfacl -m u:tk-mallory:r reader
setfacl -m g:tk-mallory:rw group
setfacl -m u:tk-mallory:rw,m::r masked
setfacl -d -m u:tk-mallory:rwx default

cd "$top/privileges"
cp /bin/true setuid && chmod 4755 setuid
cp /bin/true setgid && chmod 2755 setgid
cp /bin/true capable && setcap cap_net_raw,cap_net_bind_service+ep capable
touch theirs && chown tk-mallory:tk-mallory theirs
touch two && ln two names

# The parent that others may write, and a link that leads through it.
touch "$top/open/inner/run.sh"
chmod 0777 "$top/open"
ln -s ../open/inner "$top/links/way"
chmod 0602 "$top/open/inner/run.sh"

printf 'whole\n' >"$top/flags/pinned" && chattr +i "$top/flags/pinned"
touch "$top/flags/log" && chattr +a "$top/flags/log"

mkdir -m 0700 "$top/secret/closed"
touch "$top/secret/closed/file"

# For the comparison with find: every mode has its file and its directory.
cd "$top/find"
for mode in {0..7}{0,2,5,7}{0,2,6,7}{0,2,3,6}; do
  mkdir "d$mode"
  touch "d$mode/f$mode"
  chmod "$mode" "d$mode/f$mode" "d$mode"
done
