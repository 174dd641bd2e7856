# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ports that rules open, in all forms that people write."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.scripts.toolkit.plugins.filter.open_tcp_ports import FilterModule

open_tcp_ports = FilterModule().filters()["open_tcp_ports"]


@pytest.mark.parametrize(
    ("rules", "ports"),
    [
        ("80,443,22", [22, 80, 443]),
        ("8000-8002,53/udp", [8000, 8001, 8002]),
        (22, [22]),
        ([{"port": 22, "source": "10.0.0.0/8"}, "443"], [22, 443]),
        ([{"port": 22, "action": "drop"}, {"port": 25, "direction": "output"}], []),
    ],
)
def test_what_is_open(rules, ports):
    assert open_tcp_ports(rules) == ports


def test_what_is_open_for_anyone():
    assert open_tcp_ports([{"port": 22, "source": "10.0.0.0/8"}, "443"], anyone=True) == [443]


def test_a_bad_port_names_the_option():
    with pytest.raises(AnsibleFilterError, match="firewall_rules: '99999' is not a port"):
        open_tcp_ports("80,99999", "firewall_rules")
