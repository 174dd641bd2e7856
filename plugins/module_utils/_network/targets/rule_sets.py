# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules that come with the collection, by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..._core.errors import ValidationError

__all__ = ["RULE_SETS", "rules_of_sets"]

RULE_SETS: dict[str, dict[str, Any]] = {
    "ping_test": {
        "type": "icmp",
        "applies_to": ["host", "service"],
        "count": 3,
        "remediation": "Check that the host is up and that no firewall drops ICMP echo.",
    },
    "dns_resolution": {
        "type": "dns",
        "applies_to": ["host", "service"],
        "remediation": "Check the record of the name and the name servers in /etc/resolv.conf.",
    },
    "http_service": {
        "type": "http",
        "applies_to": ["service"],
        "remediation": "Check that the web server runs and look at its error log.",
    },
    "ssh_service": {
        "type": "ssh",
        "applies_to": ["host", "service"],
        "remediation": "Check that sshd runs and that the firewall lets it be reached.",
    },
    "latency_check": {
        "type": "icmp",
        "applies_to": ["host", "service"],
        "count": 5,
        "warn_ms": 100.0,
        "fail_ms": 500.0,
        "remediation": "Look for a busy link on the way.",
    },
    "open_ports": {
        "type": "tcp",
        "applies_to": ["host", "service"],
        "default_ports": [22, 80, 443],
        "require": "any",
        "remediation": "Check that the services run and that the firewall lets them be reached.",
    },
    "network_discovery": {
        "type": "icmp",
        "applies_to": ["network"],
        "remediation": "Check the link to this network and its addresses.",
    },
}


def rules_of_sets(names: Iterable[str]) -> list[dict[str, Any]]:
    """Return the rules of the sets named, as wishes; each set is one rule of its name.

    :raises ValidationError: a set is not known.
    """
    found = []
    for name in dict.fromkeys(names):
        if name not in RULE_SETS:
            raise ValidationError(f"rule_sets: {name!r} is not known.", hint=f"Use one of {', '.join(RULE_SETS)}.")
        found.append({"name": name, **RULE_SETS[name]})
    return found
