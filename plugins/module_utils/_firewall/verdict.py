# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What our own rules do to a new ssh connection: asked before a change that nobody could take back."""

from __future__ import annotations

import ipaddress
import json

from .._core.commands import Commands
from .._core.errors import UnsafeError
from .render import Policies
from .rules import Rule
from .sockets import Socket

__all__ = ["accepts", "interfaces_by_address", "reachable_ports", "refuse_lockout"]


def interfaces_by_address(commands: Commands) -> dict[str, str]:
    """Return ``{address: interface}`` of this host; empty where iproute2 is missing."""
    program = commands.find("ip")
    if not program:
        return {}
    done = commands.run([program, "-j", "address", "show"])
    try:
        links = json.loads(done.out)
    except ValueError:
        return {}
    return {entry["local"]: link["ifname"] for link in links for entry in link.get("addr_info", []) if "local" in entry}


def _interface_matches(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def accepts(rules: list[Rule], policies: Policies, port: int, peer: str, local: str, interface: str | None) -> bool:
    """Return whether a new TCP connection from ``peer`` to ``local:port`` that comes in on ``interface`` gets through
    our input chain. An unknown interface counts against it: no accepting rule matches it, every refusing one does."""
    source, destination = ipaddress.ip_address(peer), ipaddress.ip_address(local)
    if interface == "lo" or source == destination or source.is_loopback:
        return True
    for rule in rules:
        if rule.direction != "input" or rule.protocol not in ("tcp", "any"):
            continue
        if rule.ports and not any(low <= port <= high for low, high in rule.ports):
            continue
        if rule.sources and not any(source in network for network in rule.sources):
            continue
        if rule.destinations and not any(destination in network for network in rule.destinations):
            continue
        if rule.interfaces:
            matches = interface and any(_interface_matches(pattern, interface) for pattern in rule.interfaces)
            if not matches and not (interface is None and rule.action != "accept"):
                continue
        return rule.action == "accept"
    return policies.input == "accept"


def reachable_ports(rules: list[Rule], policies: Policies, ports: list[int]) -> list[int]:
    """Return those of ``ports`` that somebody outside can reach: the first rule for the port that is not limited to
    some peers or interfaces decides, unless one that is limited accepts before it."""
    reachable = []
    for port in ports:
        for rule in rules:
            if rule.direction != "input" or rule.protocol not in ("tcp", "any"):
                continue
            if rule.ports and not any(low <= port <= high for low, high in rule.ports):
                continue
            if rule.action == "accept":
                reachable.append(port)
                break
            if not (rule.sources or rule.destinations or rule.interfaces):
                break
        else:
            if policies.input == "accept":
                reachable.append(port)
    return reachable


def refuse_lockout(
    rules: list[Rule],
    policies: Policies,
    ports: list[int],
    sessions: list[Socket],
    interfaces: dict[str, str],
) -> None:
    """Refuse rules that close the ssh server's ports or shut out somebody who is logged in over ssh now.

    :param ports: those that ssh servers listen on; none: there is nothing to lose.
    :raises UnsafeError: naming the port or the peer.
    """
    hint = "Let them in by rules, run it over ssh (then a new connection proves it), or set allow_lockout: true."
    if ports and not reachable_ports(rules, policies, ports):
        named = ", ".join(str(port) for port in ports)
        raise UnsafeError(
            f"rules would close the port of this host's ssh server ({named}), and over this connection nothing can "
            "prove that you still get in.",
            hint=hint,
        )
    out = sorted(
        {
            session.peer
            for session in sessions
            if not accepts(
                rules, policies, session.port, session.peer, session.address, interfaces.get(session.address)
            )
        }
    )
    if out:
        raise UnsafeError(
            f"rules would shut out who is logged in over ssh now (from {', '.join(out)}), and over this connection "
            "nothing can prove that you still get in.",
            hint=hint,
        )
