# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sockets read from /proc, against sockets that this test opens, and the refusal of a lock-out."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._core.commands import Commands
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import UnsafeError
from ansible_collections.scripts.toolkit.plugins.module_utils._firewall.render import Policies
from ansible_collections.scripts.toolkit.plugins.module_utils._firewall.rules import parse_rules
from ansible_collections.scripts.toolkit.plugins.module_utils._firewall.sockets import (
    Socket,
    listening,
    read_sockets,
    ssh_ports,
    ssh_sessions,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._firewall.verdict import reachable_ports, refuse_lockout


def no_command(args, **_kwargs):
    return 1, "", ""


def test_what_listens_is_found_and_what_is_closed_is_not() -> None:
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp, socket.socket(socket.AF_INET6) as six:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        udp.bind(("127.0.0.1", 0))
        six.bind(("::1", 0))
        six.listen()
        found = listening(read_sockets())
        expected = [
            {"protocol": "tcp", "address": "127.0.0.1", "port": tcp.getsockname()[1]},
            {"protocol": "udp", "address": "127.0.0.1", "port": udp.getsockname()[1]},
            {"protocol": "tcp", "address": "::1", "port": six.getsockname()[1]},
        ]
        for entry in expected:
            assert entry in found
    found = listening(read_sockets())
    assert not [entry for entry in expected if entry in found]


def test_sessions_are_the_established_connections_to_a_port() -> None:
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.getsockname())
        accepted, peer = server.accept()
        with accepted:
            (session,) = ssh_sessions(read_sockets(), [server.getsockname()[1]])
    assert (session.peer, session.peer_port) == peer


def test_ipv4_in_ipv6_is_shown_as_ipv4() -> None:
    with socket.socket(socket.AF_INET6) as server, socket.socket() as client:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind(("::", 0))
        server.listen()
        client.connect(("127.0.0.1", server.getsockname()[1]))
        accepted, _peer = server.accept()
        with accepted:
            (session,) = ssh_sessions(read_sockets(), [server.getsockname()[1]])
    assert session.peer == "127.0.0.1"


def test_an_ssh_server_is_known_by_its_name(tmp_path: Path) -> None:
    # A process that is called sshd: a copy of this Python under that name.
    program = tmp_path / "sshd"
    shutil.copy(os.path.realpath(sys.executable), program)
    code = (
        "import socket, sys; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); "
        "print(s.getsockname()[1], flush=True); sys.stdin.read()"
    )
    environment = {**os.environ, "PYTHONHOME": sys.base_prefix}
    with subprocess.Popen(
        [program, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        port = int(process.stdout.readline())
        assert port in ssh_ports(Commands(no_command), read_sockets())
        process.stdin.close()
    assert port not in ssh_ports(Commands(no_command), read_sockets())


SESSION = Socket("tcp", "192.0.2.10", 22, "198.51.100.7", 50000, 1, 1)
INTERFACES = {"192.0.2.10": "eth0"}


def refuse(rules: object, sessions: list[Socket], ports: list[int]) -> None:
    refuse_lockout(parse_rules(rules), Policies(), ports, sessions, INTERFACES)


def test_closing_the_port_of_the_ssh_server_is_refused() -> None:
    with pytest.raises(UnsafeError, match=r"ssh server \(22\)") as caught:
        refuse("80", [], [22])
    assert "allow_lockout" in caught.value.hint


def test_shutting_out_who_is_logged_in_is_refused() -> None:
    with pytest.raises(UnsafeError, match=r"from 198\.51\.100\.7"):
        refuse([{"port": 22, "source": "10.0.0.0/8"}], [SESSION], [22])


def test_what_keeps_a_way_in_is_allowed() -> None:
    refuse("22", [SESSION], [22])
    refuse([{"port": 22, "source": "10.0.0.0/8"}], [], [22])
    refuse([{"port": 22, "interface": "eth0"}], [SESSION], [22])
    refuse("22", [], [22, 2222])
    refuse("80", [], [])


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("22", [22]),
        ([{"port": 22, "action": "drop"}, "22,2222"], [2222]),
        ([{"port": 22, "source": "10.0.0.0/8"}], [22]),
        ([{"port": 22, "source": "10.0.0.0/8", "action": "drop"}, 22], [22]),
        ([{"action": "drop"}, "22,2222"], []),
        ([{"port": 22, "protocol": "udp"}], []),
    ],
)
def test_ports_that_somebody_can_reach(rules: object, expected: list[int]) -> None:
    assert reachable_ports(parse_rules(rules), Policies(), [22, 2222]) == expected
