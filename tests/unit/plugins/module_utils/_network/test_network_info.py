# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host's network is like: on this machine against the kernel's own files, and texts of resolvers."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._core.commands import Commands
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import IntegrityError, ValidationError
from ansible_collections.scripts.toolkit.plugins.module_utils._network.info.info import SUBSETS, network_info
from ansible_collections.scripts.toolkit.plugins.module_utils._network.info.ip import IpTool
from ansible_collections.scripts.toolkit.plugins.module_utils._network.info.links import defaults
from ansible_collections.scripts.toolkit.plugins.module_utils._network.info.listening import listening_processes
from ansible_collections.scripts.toolkit.plugins.module_utils._network.info.resolvers import resolvers


def run(args, data=None, environ_update=None, cwd=None, **_kwargs) -> tuple[int, str, str]:
    """Run a command as a module does."""
    environment = {**os.environ, **(environ_update or {})}
    done = subprocess.run(args, input=data, env=environment, cwd=cwd, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_interfaces_are_those_of_the_kernel() -> None:
    found = {entry["name"]: entry for entry in network_info(["interfaces"], Commands(run))["interfaces"]}
    assert set(found) == {name for _index, name in socket.if_nameindex()}
    loopback = found["lo"]
    assert (loopback["index"], loopback["kind"], loopback["mac"]) == (1, "loopback", None)
    assert loopback["mtu"] == int(Path("/sys/class/net/lo/mtu").read_text(encoding="ascii"))
    addresses = {entry["address"]: entry for entry in loopback["addresses"]}
    assert addresses["127.0.0.1"] == {
        "address": "127.0.0.1", "prefix": 8, "family": "ipv4", "scope": "host", "flags": [],
    }  # fmt: skip


def test_only_what_is_asked_for_is_told() -> None:
    assert set(network_info(["listening"], Commands(run))) == {"changed", "listening"}
    everything = set(network_info(SUBSETS, Commands(run)))
    assert everything == {"changed", *SUBSETS, "default_routes", "rules"}
    with pytest.raises(ValidationError):
        network_info([], Commands(run))


def test_a_listening_socket_is_told_with_its_process() -> None:
    name = Path("/proc/self/comm").read_text(encoding="utf-8").strip()
    with socket.socket() as tcp, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        udp.bind(("::1", 0))
        found = listening_processes()
        for protocol, one in (("tcp", tcp), ("udp", udp)):
            address, port = one.getsockname()[:2]
            process = [{"pid": os.getpid(), "name": name}]
            assert {"protocol": protocol, "address": address, "port": port, "processes": process} in found


@pytest.mark.parametrize(("says", "found"), [("", []), ("[{},{}]", []), ('[{"dst":"x"}]', [{"dst": "x"}])])
def test_what_ip_prints_of_nothing_is_nothing(says: str, found: list) -> None:
    assert IpTool(Commands(lambda args, **_kwargs: (0, says, ""))).ask("route") == found


def test_what_is_no_json_is_told() -> None:
    with pytest.raises(IntegrityError, match="ip route printed what is no JSON"):
        IpTool(Commands(lambda args, **_kwargs: (0, "default via 192.0.2.1", ""))).ask("route")


def test_the_default_route_is_the_one_with_the_least_metric() -> None:
    base = {"type": "unicast", "table": "main", "family": "ipv4", "metric": 0, "destination": "default"}
    routes = [
        {**base, "metric": 200, "gateway": "a"},
        {**base, "metric": 100, "gateway": "b"},
        {**base, "table": "9", "gateway": "c"},
        {**base, "type": "unreachable", "gateway": "d"},
        {**base, "destination": "192.0.2.0/24", "gateway": "e"},
    ]
    assert defaults(routes) == {"ipv4": routes[1], "ipv6": None}


def test_resolv_conf_is_read_as_the_c_library_reads_it(tmp_path: Path) -> None:
    real = tmp_path / "real.conf"
    real.write_text(
        "# nameserver 192.0.2.9\n; no\nnameserver 192.0.2.1\n  nameserver 2001:db8::1\ndomain old.example\n"
        "search a.example b.example\noptions edns0\noptions timeout:1\nnameserver\n",
        encoding="utf-8",
    )
    (tmp_path / "resolv.conf").symlink_to(real)
    found = resolvers(Commands(run), str(tmp_path / "resolv.conf"), str(tmp_path / "absent"))
    assert found == {
        "file": str(real),
        "servers": ["192.0.2.1", "2001:db8::1"],
        "search": ["a.example", "b.example"],
        "options": ["edns0", "timeout:1"],
        "resolved": None,
    }
    assert resolvers(Commands(run), str(tmp_path / "none"), str(tmp_path / "absent"))["file"] is None
