#!/bin/sh
# Install the Debian packages that the tests need on this machine, where any is missing and we may (root or sudo).
set -eu
packages="bind9-dnsutils curl fping git golang-go golang-golang-x-mod-dev graphviz iperf3 iproute2 iputils-ping iputils-tracepath mmdebstrap nftables nmap openssh-client openssl postgresql procps qemu-system-x86 redis-server shellcheck systemd-container traceroute"
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "This is no Debian: the tests need what its packages $packages contain." >&2
    exit 0
fi
missing=
for package in $packages; do
    if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
        missing="$missing $package"
    fi
done
if [ -z "$missing" ]; then
    exit 0
fi
sudo=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "Missing Debian packages:$missing. As root: apt-get install$missing" >&2
        exit 1
    fi
    sudo=sudo
fi
echo "Installing the Debian packages$missing ..." >&2
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
# shellcheck disable=SC2086 # several packages
$sudo apt-get install -qq -y --no-install-recommends $missing >&2
