# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The text of our nftables table."""

from __future__ import annotations

from dataclasses import dataclass

from .rules import Rule

__all__ = ["OWNER", "Policies", "render_file", "render_table"]

OWNER = "scripts.toolkit"
"""The comment of a table that is ours."""

_HEADER = """\
# Written by scripts.toolkit.nft_ruleset; it replaces changes made here.
# It owns this table and no other: loading this file leaves the rest of the rule set alone.
"""

_ICMP = "{ destination-unreachable, time-exceeded, parameter-problem, echo-request }"
# RFC 4890, section 4.4: what a host needs for IPv6 to work at all.
_ICMPV6 = (
    "{ destination-unreachable, packet-too-big, time-exceeded, parameter-problem, echo-request, "
    "nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert }"
)
_MLD = "{ mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report }"


@dataclass(frozen=True)
class Policies:
    """What happens to packets that no rule matches, per chain: ``accept`` or ``drop``."""

    input: str = "drop"
    output: str = "accept"
    forward: str = "accept"


def _set(values: list[str]) -> str:
    return values[0] if len(values) == 1 else "{ " + ", ".join(values) + " }"


def _addresses(rule: Rule) -> list[tuple[str, str]]:
    """Return address match and ICMP family of each line the rule needs: one without addresses, else one an IP
    version."""
    if not rule.sources and not rule.destinations:
        return [("", "icmpx")]
    matches = []
    for version, keyword in ((4, "ip"), (6, "ip6")):
        sides = []
        for networks, side in ((rule.sources, "saddr"), (rule.destinations, "daddr")):
            whole = "/32" if version == 4 else "/128"
            own = [str(network).removesuffix(whole) for network in networks if network.version == version]
            if networks and not own:
                break
            if own:
                sides.append(f"{keyword} {side} {_set(own)}")
        else:
            matches.append((" ".join(sides), "icmp" if version == 4 else "icmpv6"))
    return matches


def _verdict(rule: Rule, icmp: str) -> str:
    if rule.action != "reject":
        return rule.action
    return "reject with " + ("tcp reset" if rule.protocol == "tcp" else f"{icmp} port-unreachable")


def _lines(rule: Rule) -> list[str]:
    if rule.ports:
        ports = _set([str(low) if low == high else f"{low}-{high}" for low, high in rule.ports])
        service = f"{rule.protocol} dport {ports}"
    elif rule.protocol == "any":
        service = ""
    else:
        # Numbers, because a minimal Debian 12 has no /etc/protocols to look names up in.
        service = "meta l4proto " + {"tcp": "6", "udp": "17", "icmp": "{ 1, 58 }"}[rule.protocol]
    interface = ""
    if rule.interfaces:
        key = "oifname" if rule.direction == "output" else "iifname"
        interface = f"{key} {_set([chr(34) + name + chr(34) for name in rule.interfaces])}"
    limit = ""
    if rule.limit:
        rate, _burst, burst = rule.limit.partition(" burst ")
        limit = f"limit rate {rate}" + (f" burst {burst} packets" if burst else "")
    log = f'log prefix "{rule.log} "' if rule.log else ""
    comment = f'comment "{rule.comment}"' if rule.comment else ""
    return [
        " ".join(part for part in (interface, addresses, service, limit, log, _verdict(rule, icmp), comment) if part)
        for addresses, icmp in _addresses(rule)
    ]


def _base(direction: str) -> list[str]:
    """Return the rules that no host should be without, in front of all others."""
    established = "ct state vmap { established : accept, related : accept, invalid : drop }"
    if direction == "forward":
        return [established]
    name = "iifname" if direction == "input" else "oifname"
    lines = [
        f'{name} "lo" accept',
        established,
        f"icmp type {_ICMP} accept",
        f"icmpv6 type {_ICMPV6} accept",
    ]
    if direction == "input":
        # A DHCPv6 answer comes from another address than the one that was asked, so it is not "established".
        lines += [
            f"ip6 saddr fe80::/10 icmpv6 type {_MLD} accept",
            "ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept",
        ]
    else:
        lines += [f"icmpv6 type {_MLD} accept", "udp sport 546 udp dport 547 accept"]
    return lines


def render_table(table: str, rules: list[Rule], policies: Policies) -> str:
    """Return the table's definition. Output and forward chains appear only where they do something."""
    parts = [f"table inet {table} {{", f'\tcomment "{OWNER}"']
    for direction in ("input", "forward", "output"):
        policy = getattr(policies, direction)
        own = [line for rule in rules if rule.direction == direction for line in _lines(rule)]
        if direction != "input" and policy == "accept" and not own:
            continue
        parts += [
            "",
            f"\tchain {direction} {{",
            f"\t\ttype filter hook {direction} priority filter; policy {policy};",
            *(f"\t\t{line}" for line in [*_base(direction), *own]),
            "\t}",
        ]
    return "\n".join([*parts, "}", ""])


def render_file(table: str, definition: str | None) -> str:
    """Return a file for ``nft -f`` that replaces the table by ``definition`` (``None``: removes it) in one
    transaction, whether or not there is such a table, and touches no other."""
    # Declaring it first is what lets "delete" succeed when it does not exist.
    return f"{_HEADER}table inet {table}\ndelete table inet {table}\n{definition or ''}"
