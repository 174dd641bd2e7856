# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ports as people write them."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import ValidationError
from ansible_collections.scripts.toolkit.plugins.module_utils._network.scan.payloads import request_for
from ansible_collections.scripts.toolkit.plugins.module_utils._network.scan.ports import Services, parse_ports

_FILE = """\
# Comment
ssh    22/tcp     # Secure
backup 617/tcp sco-backup
backup 617/udp
broken
odd    x/tcp
only   4000/udp
"""


@pytest.fixture
def services(tmp_path: Path) -> Services:
    (tmp_path / "services").write_text(_FILE, encoding="utf-8")
    return Services(str(tmp_path / "services"))


@pytest.mark.parametrize(
    ("specs", "tcp", "udp"),
    [
        (["22", "8000-8002"], {22, 8000, 8001, 8002}, set()),
        (["53/udp", "617/tcp", "500-501/udp"], {617}, {53, 500, 501}),
        (["SSH", "sco-backup", "backup/udp"], {22, 617}, {617}),
        (["telnet", "ntp/udp"], {23}, {123}),
        (["web", "web/udp", "system"], {*range(1, 1024), 8000, 8008, 8080, 8443, 8888}, {443}),
        ([], set(), set()),
    ],
)
def test_numbers_ranges_names_and_sets(services: Services, specs: list[str], tcp: set, udp: set) -> None:
    assert parse_ports(specs, "ports", services) == {"tcp": tcp, "udp": udp}


def test_all_are_all(services: Services) -> None:
    assert parse_ports(["all"], "ports", services)["tcp"] == set(range(1, 65536))


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("0", "from 1 to 65535"),
        ("65536", "from 1 to 65535"),
        ("70000-70010", "from 1 to 65535"),
        ("90-80", "is reversed. Write 80-90."),
        ("sshd", "is no tcp service that is known here. Give its number"),
        ("only", "Write only/udp."),
        ("22/sctp", "is no port"),
        ("22,23", "is no tcp service"),
        ("-1", "is no tcp service"),
        ("", "is no port"),
    ],
)
def test_what_is_no_port_is_named_with_the_way_out(services: Services, spec: str, says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_ports(["22", spec], "targets[0].expected", services)
    message = caught.value.as_result()["msg"]
    assert f"targets[0].expected[1]={spec!r}" in message
    assert says in message


def test_without_the_file_well_known_names_are_known() -> None:
    services = Services("/nonexistent")
    assert parse_ports(["https", "snmp/udp"], "ports", services) == {"tcp": {443}, "udp": {161}}
    assert services.name("tcp", 443) == "https"
    assert services.name("tcp", 4) is None


def test_names_are_those_of_the_c_library(tmp_path: Path) -> None:
    services = Services()
    for name, protocol in (("ssh", "tcp"), ("https", "tcp"), ("domain", "udp"), ("imaps", "tcp"), ("pop3", "tcp")):
        assert services.port(protocol, name) == socket.getservbyname(name, protocol)


def test_requests_have_fresh_identifiers_and_the_size_of_one_packet() -> None:
    for port in (53, 111, 123, 137, 161, 1194, 3478, 443, 5060, 11211):
        assert request_for(port) != request_for(port)
    for port in range(1, 65536):
        assert len(request_for(port)) <= 1200
    assert len(request_for(443)) == 1200
    assert request_for(9) == b""
