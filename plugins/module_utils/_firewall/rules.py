# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Firewall rules as people write them, checked and brought into one form."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace

from .._core.errors import ValidationError

__all__ = ["ACTIONS", "DIRECTIONS", "PROTOCOLS", "Rule", "parse_rules"]

ACTIONS = ("accept", "drop", "reject")
PROTOCOLS = ("tcp", "udp", "icmp", "any")
DIRECTIONS = ("input", "output", "forward")

_KEYS = {
    "port",
    "ports",
    "protocol",
    "source",
    "destination",
    "interface",
    "action",
    "direction",
    "limit",
    "log",
    "comment",
}
_INTERFACE = re.compile(r"[A-Za-z0-9_.:@-]{1,15}|[A-Za-z0-9_.:@-]{1,14}\*")
_LIMIT = re.compile(r"[1-9][0-9]{0,9}/(second|minute|hour|day|week)( burst [1-9][0-9]{0,9})?")
_TEXT = re.compile(r"[ !#%-\[\]-~]*")
"""Printable ASCII without the double quote, the backslash and the dollar sign (nft puts variables in its place)."""


@dataclass(frozen=True)
class Rule:
    """One rule. Empty tuples match everything; ``ports`` are inclusive ranges, sorted and merged; ``sources`` and
    ``destinations`` are networks of either family."""

    ports: tuple[tuple[int, int], ...] = ()
    protocol: str = "any"
    sources: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    destinations: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    interfaces: tuple[str, ...] = ()
    action: str = "accept"
    direction: str = "input"
    limit: str = ""
    log: str = ""
    comment: str = ""


def _refuse(option: str, value: object, what: str, hint: str) -> ValidationError:
    return ValidationError(f"{option}: {value!r} is not {what}.", hint=hint)


def _port(option: str, text: str, whole: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= 65535:
        return int(text)
    raise _refuse(
        option,
        text,
        "a port" if text == whole else f"a port (in {whole!r})",
        'Use numbers from 1 to 65535, ranges and protocols: "22,80,443", "8000-8010", "53/udp".',
    )


def _merge(ranges: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


def _words(option: str, value: object) -> list[str]:
    """Return the words of a string with commas, a number, or a list of these."""
    if isinstance(value, bool) or not isinstance(value, (str, int, list, tuple)):
        raise _refuse(option, value, "a string, number or list", "Write it as in the examples.")
    if isinstance(value, (list, tuple)):
        return [word for part in value for word in _words(option, part)]
    words = [word.strip() for word in str(value).split(",")]
    if words == [""]:
        return []
    if "" in words:
        raise _refuse(option, value, "a list", "There is a comma too many.")
    return words


def _ports(option: str, value: object, protocol: str | None) -> dict[str, tuple[tuple[int, int], ...]]:
    """Return port ranges by protocol."""
    found: dict[str, list[tuple[int, int]]] = {}
    for word in _words(option, value):
        numbers, slash, own = word.partition("/")
        own = own.strip().lower()
        if slash and own not in ("tcp", "udp"):
            raise _refuse(option, word, "a port with a protocol", "Only tcp and udp have ports: 53/udp.")
        if own and protocol and own != protocol:
            raise ValidationError(
                f"{option}: {word!r} contradicts protocol={protocol}.", hint="Leave one of the two out."
            )
        low, dash, high = (part.strip() for part in numbers.partition("-"))
        first = _port(option, low, word)
        last = _port(option, high, word) if dash else first
        if last < first:
            raise _refuse(option, word, "a port range", f"The lower port comes first: {last}-{first}.")
        found.setdefault(own or protocol or "tcp", []).append((first, last))
    return {name: _merge(ranges) for name, ranges in found.items()}


def _networks(option: str, value: object) -> tuple:
    networks: dict[int, list] = {4: [], 6: []}
    for word in _words(option, value):
        try:
            network = ipaddress.ip_network(word)
        except ValueError:
            hint = "Use addresses or networks in CIDR form: 192.0.2.7, 10.0.0.0/8, 2001:db8::/32."
            try:
                hint = f"The network of that address is {ipaddress.ip_network(word, strict=False)}."
            except ValueError:
                pass
            raise _refuse(option, word, "an address or network", hint) from None
        networks[network.version].append(network)
    return (*ipaddress.collapse_addresses(networks[4]), *ipaddress.collapse_addresses(networks[6]))


def _choice(option: str, value: object, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise _refuse(option, value, "a known value", f"Use one of {', '.join(choices)}.")
    return str(value)


def _text(option: str, value: object, most: int) -> str:
    text = "" if value is None else str(value)
    if len(text) > most or not _TEXT.fullmatch(text):
        raise _refuse(option, text, "a text that nftables can keep", f'At most {most} ASCII characters, no ", $ or \\.')
    return text


def _from_dict(option: str, given: dict) -> list[Rule]:
    unknown = sorted(str(key) for key in set(given) - _KEYS)
    if unknown:
        raise ValidationError(
            f"{option}: unknown key {', '.join(unknown)}.", hint=f"Known keys: {', '.join(sorted(_KEYS))}."
        )
    given = {key: value for key, value in given.items() if value is not None}
    if "port" in given and "ports" in given:
        raise ValidationError(f"{option}: both port and ports are given.", hint="Use one of them.")
    protocol = _choice(f"{option}.protocol", given["protocol"], PROTOCOLS) if "protocol" in given else None
    which = "ports" if "ports" in given else "port"
    if which in given and protocol in ("icmp", "any"):
        raise ValidationError(f"{option}: protocol={protocol} has no ports.", hint="Use tcp or udp, or omit the ports.")
    by_protocol = _ports(f"{option}.{which}", given[which], protocol) if which in given else {protocol or "any": ()}
    if not by_protocol:
        raise ValidationError(f"{option}.{which} is empty.", hint="Leave it out to match every port.")
    for key in ("source", "destination", "interface"):
        if key in given and not _words(f"{option}.{key}", given[key]):
            raise ValidationError(f"{option}.{key} is empty.", hint="Leave it out to match everything.")
    interfaces = tuple(sorted(set(_words(f"{option}.interface", given.get("interface", [])))))
    for interface in interfaces:
        if not _INTERFACE.fullmatch(interface):
            raise _refuse(f"{option}.interface", interface, "an interface", "Use names such as eth0, or eth*.")
    sources = _networks(f"{option}.source", given.get("source", []))
    destinations = _networks(f"{option}.destination", given.get("destination", []))
    if sources and destinations and not {net.version for net in sources} & {net.version for net in destinations}:
        raise ValidationError(
            f"{option}: source and destination are of different IP versions, so the rule would match nothing.",
            hint="Give both as IPv4 or both as IPv6.",
        )
    limit = str(given.get("limit", ""))
    if limit and not _LIMIT.fullmatch(limit):
        raise _refuse(f"{option}.limit", limit, "a rate", "Write 10/minute, or 10/minute burst 20.")
    return [
        Rule(
            ports=ports,
            protocol=name,
            sources=sources,
            destinations=destinations,
            interfaces=interfaces,
            action=_choice(f"{option}.action", given.get("action", "accept"), ACTIONS),
            direction=_choice(f"{option}.direction", given.get("direction", "input"), DIRECTIONS),
            limit=limit,
            log=_text(f"{option}.log", given.get("log"), 100),
            comment=_text(f"{option}.comment", given.get("comment"), 100),
        )
        for name, ports in sorted(by_protocol.items())
    ]


def _compact(rules: list[Rule]) -> list[Rule]:
    """Merge runs of accepting rules without limit that differ only in their ports, keeping the meaning: between
    such rules the order does not matter."""
    done: list[Rule] = []
    run_start = 0
    for rule in rules:
        plain = rule.action == "accept" and rule.ports and not (rule.limit or rule.log)
        if not plain:
            done.append(rule)
            run_start = len(done)
            continue
        for index in range(run_start, len(done)):
            if replace(done[index], ports=()) == replace(rule, ports=()):
                done[index] = replace(rule, ports=_merge([*done[index].ports, *rule.ports]))
                break
        else:
            done.append(rule)
    return done


def parse_rules(value: object, option: str = "rules") -> list[Rule]:
    """Return the rules of ``"80,443,22"``, ``["80", {"port": 53, "protocol": "udp"}]`` and the like, in their order.

    :raises ValidationError: naming the option and the value that can't be used.
    """
    if value is None:
        return []
    if isinstance(value, dict):
        raise ValidationError(f"{option} is one rule, not a list.", hint="Put a dash before it.")
    entries = value if isinstance(value, (list, tuple)) else [value]
    rules: list[Rule] = []
    for number, entry in enumerate(entries):
        name = f"{option}[{number}]" if isinstance(value, (list, tuple)) else option
        if isinstance(entry, dict):
            rules.extend(_from_dict(name, entry))
        else:
            rules.extend(
                Rule(ports=ports, protocol=protocol) for protocol, ports in sorted(_ports(name, entry, None).items())
            )
    return _compact(rules)
