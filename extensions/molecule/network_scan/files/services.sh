#!/bin/sh
# Start real services on 127.0.7.1 and keep ICMP from all but root, or stop them and those that Debian's packages started
# and let ICMP be as it was: services.sh start|stop
set -eu
who=net.ipv4.ping_group_range
run() {
    name=$1
    shift
    systemd-run --quiet --collect --unit "tk-$name" "$@"
}
case $1 in
start)
    sysctl -n $who >/run/tk-who
    sysctl -qw $who='1 0'
    run dns dnsmasq --keep-in-foreground --listen-address=127.0.7.1 --bind-interfaces --no-resolv --no-hosts \
        --conf-file=/dev/null
    run ntp chronyd -x -d -U -u root "bindaddress 127.0.7.1" "allow 127.0.0.0/8" "local stratum 10" "cmdport 0"
    run snmp snmpd -f -Lo -C -p /run/tk-snmpd.pid udp:127.0.7.1:161
    run memcached memcached -u root -l 127.0.7.1 -U 11211
    run http python3 -m http.server --bind 127.0.7.1 --directory /srv 8080
    ;;
stop)
    sysctl -qw $who="$(cat /run/tk-who)"
    systemctl stop 'tk-*.service'
    systemctl disable --quiet --now chrony memcached snmpd
    ;;
esac
