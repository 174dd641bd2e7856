# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""network_scan judged by nmap, network_info by ip, ss and the kernel, on the same network. Root, nmap and nft."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from scan_lab import SERVICES, Namespaces, nmap_states

# Of the far end's addresses: .2 is a host with a firewall, .3 drops all but ARP, .4 refuses all, .5 is silent to ICMP.
FIREWALL = """
ip daddr 10.99.7.3 drop
ip daddr 10.99.7.4 reject with icmp type admin-prohibited
ip daddr 10.99.7.5 icmp type echo-request drop
tcp dport 81 drop
tcp dport 82 reject with icmpx type admin-prohibited
tcp dport 83 reject with tcp reset
tcp dport 84 reject with icmpx type host-unreachable
udp dport 69 drop
udp dport 70 reject with icmpx type admin-prohibited
udp dport 71 reject with icmpx type host-unreachable
"""
TCP = {22: "open", 80: "open", 443: "closed", 81: "filtered", 82: "filtered", 83: "closed", 84: "filtered"}
UDP = {123: "open", 9: "closed", 69: "open_or_filtered", 70: "filtered", 71: "filtered"}


@pytest.fixture(scope="module")
def lab() -> Iterator[Namespaces]:
    spaces = Namespaces()
    try:
        spaces.address(spaces.near, "10.99.7.1/24", "fd99::1/64")
        spaces.address(spaces.far, *(f"10.99.7.{number}/24" for number in (2, 3, 4, 5)), "fd99::2/64")
        # What other tests say with more than a few packets must not change these answers.
        spaces.inside(spaces.far, "sysctl", "-qw", "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0")
        spaces.serve(SERVICES, "tcp:22", "tcp:80", "udp:123")
        spaces.firewall(FIREWALL)
        yield spaces
    finally:
        spaces.close()


def states(lab: Namespaces, address: str, protocol: str, ports: dict[int, str]) -> dict[int, str]:
    """Return the states of ports by our scan, from what it counts and from what it finds against expectations."""
    wanted = [f"{port}/{protocol}" for port in ports]
    result = lab.ask("network_scan", targets=[{"address": address}], ports=[], expected=wanted, timeout=0.5)
    found = {one["port"]: one["found"] for one in result["violations"]}
    found.update({port["port"]: "open" for port in result["outcomes"][0]["ports"]})
    counted = {state: number for state, number in result["outcomes"][0]["counts"].items() if number}
    assert counted == {state: list(found.values()).count(state) for state in set(found.values())}
    return found


@pytest.mark.parametrize(("address", "six"), [("10.99.7.2", []), ("fd99::2", ["-6"])], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize(("protocol", "how", "ports"), [("tcp", "-sT", TCP), ("udp", "-sU", UDP)], ids=["tcp", "udp"])
def test_states_are_those_of_nmap(
    lab: Namespaces, address: str, six: list[str], protocol: str, how: str, ports: dict[int, str]
) -> None:
    ours = states(lab, address, protocol, ports)
    listed = ",".join(map(str, ports))
    theirs = nmap_states(lab.nmap(*six, how, "-Pn", "-T5", "-p", listed, address))
    assert ours == theirs == ports


def test_the_open_ports_of_all_are_those_of_nmap(lab: Namespaces) -> None:
    target = {"address": "10.99.7.2"}
    result = lab.ask("network_scan", targets=[target], ports=["all"], timeout=0.5, concurrency=500)
    theirs = nmap_states(lab.nmap("-sT", "-Pn", "-T5", "-p-", "--open", "10.99.7.2"))
    assert {port["port"] for port in result["outcomes"][0]["ports"]} == set(theirs) == {22, 80}
    assert result["counts"]["filtered"] == 3
    assert result["counts"]["closed"] == 65535 - 5


def test_the_hosts_on_the_link_are_those_of_nmap(lab: Namespaces) -> None:
    result = lab.ask("network_scan", targets=[{"address": "10.99.7.0/27", "exclude": ["10.99.7.1"]}], ports=[])
    report = lab.nmap("-sn", "--exclude", "10.99.7.1", "10.99.7.0/27")
    theirs = {
        host.find("address[@addrtype='ipv4']").get("addr"): host.find("address[@addrtype='mac']").get("addr").lower()
        for host in report.findall("./host")
        if host.find("status").get("state") == "up"
    }
    assert {host["address"]: host["mac"] for host in result["outcomes"]} == theirs
    how = {host["address"].rpartition(".")[2]: host["answered_by"] for host in result["outcomes"]}
    assert set(how) == {"2", "3", "4", "5"}
    assert (how["3"], how["4"], how["5"]) == ("neighbour", "neighbour", "tcp")
    assert result["counts"]["addresses"] == 29


def test_nobody_is_there_when_the_link_is_down(lab: Namespaces) -> None:
    lab.inside(lab.far, "ip", "link", "set", lab.far, "down")
    try:
        wanted = {"address": "10.99.7.2", "expected": ["ssh"]}
        result = lab.ask("network_scan", targets=[{"address": "10.99.7.2-5"}, wanted], timeout=0.3, ports=["22"])
    finally:
        lab.inside(lab.far, "ip", "link", "set", lab.far, "up")
        lab.address(lab.far, "fd99::2/64")  # The kernel takes IPv6 addresses away with the link.
    assert [(host["target"], host["up"]) for host in result["outcomes"]] == [("10.99.7.2", False)]
    assert [one["found"] for one in result["violations"]] == ["filtered"]


def test_icmp_needs_a_permission_or_a_kernel_that_allows_it(lab: Namespaces) -> None:
    ask = {"targets": [{"address": "10.99.7.2-4"}], "ports": [], "timeout": 0.5}
    lab.inside(lab.near, "sysctl", "-qw", "net.ipv4.ping_group_range=1 0")
    refused = lab.ask("network_scan", uid=65534, discovery=["icmp"], **ask)
    assert (refused["failed"], refused["error"]["kind"]) == (True, "permission")
    assert "ping_group_range" in refused["error"]["hint"]
    without = lab.ask("network_scan", uid=65534, **ask)
    assert without["discovery"]["used"] == ["tcp", "neighbours"]
    assert "icmp" in without["discovery"]["unavailable"]
    assert [host["answered_by"] for host in without["outcomes"]] == ["tcp", "neighbour", "neighbour"]
    raw = lab.ask("network_scan", discovery=["icmp"], **ask)
    lab.inside(lab.near, "sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647")
    for address in ("10.99.7.2-4", "fd99::1-fd99::3"):
        unprivileged = lab.ask(
            "network_scan", uid=65534, discovery=["icmp"], **{**ask, "targets": [{"address": address}]}
        )
        assert [host["answered_by"] for host in unprivileged["outcomes"]][-1] == "icmp"
    assert [host["address"] for host in raw["outcomes"]] == ["10.99.7.2"]
    assert raw["outcomes"][0]["latency_ms"] > 0


def test_a_connection_to_itself_is_no_open_port(lab: Namespaces) -> None:
    """With so few ports to connect from, the kernel soon takes for one the very port that is asked for."""
    program = "import socket\nfor _ in range(50):\n s = socket.socket(); print(s.connect_ex(('127.0.0.1', 40000)))"
    before = lab.inside(lab.near, "sysctl", "-n", "net.ipv4.ip_local_port_range").split()
    lab.inside(lab.near, "sysctl", "-qw", "net.ipv4.ip_local_port_range=40000 40003")
    try:
        assert "0" in lab.inside(lab.near, "python3", "-c", program).split()
        targets = [{"address": f"127.0.0.{number}", "ports": ["40000-40003"]} for number in range(1, 60)]
        result = lab.ask("network_scan", targets=targets, discovery=[], concurrency=1)
    finally:
        lab.inside(lab.near, "sysctl", "-qw", f"net.ipv4.ip_local_port_range={' '.join(before)}")
    assert result["counts"]["closed"] == 59 * 4


def test_interfaces_and_routes_are_those_of_the_kernel(lab: Namespaces) -> None:
    commands = [
        "route add default via 10.99.7.2",
        "route add 203.0.113.0/24 nexthop via 10.99.7.2 nexthop via 10.99.7.5",
    ]
    commands += [
        "-6 route add default via fd99::2 metric 7",
        "route add unreachable 198.51.100.0/24",
        "rule add from 10.1.0.0/16 table 77",
    ]
    commands += ["route add 192.0.2.0/24 via 10.99.7.4 table 77"]
    for command in commands:
        lab.inside(lab.near, "ip", *command.split())
    told = lab.ask("network_info", subsets=["interfaces", "routes", "neighbours"])
    cable = next(entry for entry in told["interfaces"] if entry["name"] == lab.near)
    text = lab.inside(lab.near, "ip", "-o", "address", "show", "dev", lab.near)
    assert {f"{one['address']}/{one['prefix']}" for one in cable["addresses"]} == set(re.findall(r"inet6? (\S+)", text))
    files = ("mtu", "address", "operstate", "speed", "duplex", "statistics/rx_packets")
    sysfs = [lab.inside(lab.near, "cat", f"/sys/class/net/{lab.near}/{name}").strip() for name in files]
    assert (cable["mtu"], cable["mac"], cable["state"]) == (int(sysfs[0]), sysfs[1], sysfs[2])
    assert (cable["speed_mbps"], cable["duplex"], cable["kind"]) == (int(sysfs[3]), sysfs[4], "veth")
    assert 0 < cable["counters"]["rx_packets"] <= int(sysfs[5])
    assert told["default_routes"]["ipv4"]["gateway"] == "10.99.7.2"
    assert (told["default_routes"]["ipv6"]["gateway"], told["default_routes"]["ipv6"]["metric"]) == ("fd99::2", 7)
    routes = {route["destination"]: route for route in told["routes"]}
    assert [hop["gateway"] for hop in routes["203.0.113.0/24"]["nexthops"]] == ["10.99.7.2", "10.99.7.5"]
    assert routes["198.51.100.0/24"]["type"] == "unreachable"
    assert routes["192.0.2.0/24"]["table"] == "77"
    # /proc/net/route has the main table of IPv4: a line a route, a multipath one with its first hop.
    listed = lab.inside(lab.near, "cat", "/proc/net/route").splitlines()[1:]
    ours = [route for route in told["routes"] if route["family"] == "ipv4" and route["table"] == "main"]
    assert len(ours) == len(listed)
    assert [rule["source"] for rule in told["rules"] if rule["table"] == "77"] == ["10.1.0.0/16"]
    table = json.loads(lab.inside(lab.near, "ip", "-j", "neighbour"))
    assert told["neighbours"]["total"] == len(table)


def test_listening_sockets_are_those_of_ss(lab: Namespaces) -> None:
    told = lab.ask("network_info", name=lab.far, subsets=["listening"])["listening"]
    ours = {
        (one["protocol"], one["address"], one["port"], process["pid"]) for one in told for process in one["processes"]
    }
    theirs = set()
    for line in lab.inside(lab.far, "ss", "-Hltunp").splitlines():
        fields = line.split()
        address, _colon, port = fields[4].rpartition(":")
        for pid in re.findall(r"pid=(\d+)", line):
            theirs.add((fields[0], {"*": "::"}.get(address, address.strip("[]")), int(port), int(pid)))
    assert ours == theirs
    assert {(protocol, port) for protocol, _address, port, _pid in ours} == {("tcp", 22), ("tcp", 80), ("udp", 123)}
    # Somebody else is not told whose they are, but that they are there.
    others = lab.ask("network_info", name=lab.far, uid=65534, subsets=["listening"])["listening"]
    assert [{**one, "processes": []} for one in told] == others


def test_a_host_with_ipv6_only_is_told_and_scans(lab: Namespaces) -> None:
    lab.inside(lab.near, "ip", "-4", "address", "flush", "dev", lab.near)
    told = lab.ask("network_info")
    assert told["default_routes"]["ipv4"] is None
    assert told["default_routes"]["ipv6"]["gateway"] == "fd99::2"
    cable = next(entry for entry in told["interfaces"] if entry["name"] == lab.near)
    assert {one["family"] for one in cable["addresses"]} == {"ipv6"}
    link_local = lab.inside(lab.far, "ip", "-o", "-6", "address", "show", "scope", "link", "dev", lab.far)
    zoned = f"{re.search('inet6 (.*)/', link_local)[1]}%{lab.near}"
    targets = [{"address": "fd99::/125"}, {"address": zoned}, {"address": "192.0.2.1"}]
    result = lab.ask("network_scan", targets=targets, ports=["22"], timeout=0.5, exclude=["fd99::1"])
    assert [(host["item"], host["counts"]["open"]) for host in result["outcomes"]] == [
        ("fd99::2", 1), (zoned, 1), ("192.0.2.1", 0),
    ]  # fmt: skip
