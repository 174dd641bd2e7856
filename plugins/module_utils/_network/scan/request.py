# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is to be scanned, from the options of the module, checked before anything is sent."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..._core.errors import ConflictError, NotFoundError, UnsafeError, ValidationError
from .policy import Policy
from .ports import NO_PORTS, PROTOCOLS, Ports, Services, count, join, parse_ports
from .ranges import Range, parse_range, parse_target, subtract

__all__ = ["DISCOVERY", "KNOCK_PORTS", "SCAN_SPEC", "Request", "Target", "read_request"]

DISCOVERY = ("icmp", "tcp", "neighbours")
KNOCK_PORTS = (22, 80, 443)
"""Where discovery knocks by TCP: an answer of any kind tells that a host is there."""

_LIST: dict = {"type": "list", "elements": "str"}
_POLICY = {"expected": _LIST, "allowed": _LIST, "forbidden": _LIST}
_EXCLUDE = {**_LIST, "default": []}
_TARGET = {"address": {"type": "str", "required": True}, "exclude": _EXCLUDE, "ports": _LIST, **_POLICY}
SCAN_SPEC: dict = {
    "targets": {"type": "list", "elements": "dict", "required": True, "options": _TARGET},
    "exclude": _EXCLUDE,
    "ports": {**_LIST, "default": ["common"]},
    **_POLICY,
    "discovery": {**_LIST, "choices": list(DISCOVERY)},
    "banners": {"type": "bool", "default": False},
    "timeout": {"type": "float", "default": 1},
    "tries": {"type": "int", "default": 2},
    "concurrency": {"type": "int", "default": 1000},
    "rate": {"type": "float"},
    "max_addresses": {"type": "int", "default": 4096},
    "max_probes": {"type": "int", "default": 1000000},
    "limit": {"type": "int", "default": 1000},
    "fail_on_violation": {"type": "bool", "default": False},
}
_LEAST = {"timeout": 0.01, "concurrency": 1, "max_addresses": 1, "max_probes": 1, "tries": 1, "limit": 0}
_MOST = {"timeout": 60, "concurrency": 20000, "tries": 10}


@dataclass
class Target:
    """One entry of the option ``targets``.

    :ivar item: it as given.
    :ivar name: the host name to resolve, as ASCII, or empty.
    :ivar ranges: its addresses; ``zone`` is the interface's index of link-local ones, else 0.
    :ivar excluded: addresses that a name must not lead to.
    :ivar single: whether it is one host, which is scanned whether or not it answers to discovery.
    """

    item: str
    where: str
    name: str
    ranges: list[Range]
    excluded: list[Range]
    zone: int
    single: bool
    ports: Ports
    policy: Policy

    @property
    def size(self) -> int:
        """How many addresses it has."""
        return 1 if self.name else sum(part.size for part in self.ranges)


@dataclass(frozen=True)
class Request:
    """All that a scan is told. ``timeout`` is in seconds, ``rate`` in probes a second. ``discovery`` are its methods,
    ``strict`` whether each of them was asked for."""

    targets: list[Target]
    services: Services
    discovery: tuple[str, ...]
    strict: bool
    banners: bool
    timeout: float
    tries: int
    concurrency: int
    rate: float | None
    limit: int
    fail_on_violation: bool


def read_request(params: Mapping[str, Any]) -> Request:
    """Return the request that the options of the module make.

    :raises ToolkitError: an option can't be used, or more would be scanned than is allowed.
    """
    for name, least in _LEAST.items():
        most = _MOST.get(name)
        if params[name] < least or (most is not None and params[name] > most):
            wanted = f"from {least} to {most}" if most is not None else f"of at least {least}"
            raise ValidationError(f"{name}={params[name]} is out of bounds.", hint=f"Give a number {wanted}.")
    if params["rate"] is not None and params["rate"] <= 0:
        raise ValidationError(f"rate={params['rate']} would never start.", hint="Give a number above 0, or none.")
    if not params["targets"]:
        raise ValidationError("targets is an empty list: there is nothing to scan.", hint="Name an address or a range.")
    services = Services()
    targets = [_target(params, entry, f"targets[{number}]", services) for number, entry in enumerate(params["targets"])]
    discovery = params["discovery"]
    request = Request(
        targets=targets,
        services=services,
        discovery=DISCOVERY if discovery is None else tuple(dict.fromkeys(discovery)),
        strict=discovery is not None,
        **{name: params[name] for name in ("banners", "timeout", "tries", "concurrency", "rate", "limit")},
        fail_on_violation=params["fail_on_violation"],
    )
    _refuse_too_many(request, params["max_addresses"], params["max_probes"])
    return request


def _target(params: Mapping[str, Any], entry: Mapping[str, Any], where: str, services: Services) -> Target:
    found = parse_target(entry["address"].strip(), f"{where}.address")
    excluded = [
        parse_range(text, f"{option}[{number}]")
        for option, texts in (("exclude", params["exclude"]), (f"{where}.exclude", entry["exclude"]))
        for number, text in enumerate(texts)
    ]

    def ports(name: str) -> Ports | None:
        own = entry[name] is not None
        specs = entry[name] if own else params[name]
        return None if specs is None else parse_ports(specs, f"{where}.{name}" if own else name, services)

    expected, forbidden = ports("expected") or NO_PORTS, ports("forbidden") or NO_PORTS
    both = [f"{port}/{protocol}" for protocol in PROTOCOLS for port in sorted(expected[protocol] & forbidden[protocol])]
    if both:
        raise ConflictError(
            f"{where}: {', '.join(both[:5])} must be open (expected) and must not be (forbidden).",
            hint="Take it off one of them.",
        )
    policy = Policy(expected, ports("allowed"), forbidden)
    wanted = join(ports("ports") or NO_PORTS, expected, forbidden)
    if isinstance(found, str):
        return Target(entry["address"], where, found, [], excluded, 0, True, wanted, policy)
    if not found.unicast:
        raise ValidationError(
            f"{where}.address={entry['address']!r} has multicast or unspecified addresses, which are no hosts.",
            hint="Name addresses of hosts.",
        )
    left = subtract(found, excluded)
    if not left:
        raise ValidationError(
            f"{where}.address={entry['address']!r} is excluded as a whole: there is nothing to scan.",
            hint="Take it off targets, or exclude less.",
        )
    zone = _zone(found.zone, f"{where}.address") if found.zone else 0
    return Target(entry["address"], where, "", left, excluded, zone, found.size == 1, wanted, policy)


def _zone(name: str, where: str) -> int:
    try:
        return int(name) if name.isdigit() else socket.if_nametoindex(name)
    except OSError:
        raise NotFoundError(
            f"{where}: there is no interface {name} here.", hint="ip link shows those there are."
        ) from None


def _refuse_too_many(request: Request, max_addresses: int, max_probes: int) -> None:
    total = sum(target.size for target in request.targets)
    if total > max_addresses:
        largest = max(request.targets, key=lambda target: target.size)
        named = f"{largest.where}.address={largest.item} has {largest.size:,} addresses"
        others = "" if len(request.targets) == 1 else f", all targets {total:,}"
        raise UnsafeError(
            f"{named}{others}; max_addresses is {max_addresses:,}.",
            hint=f"Name the smaller networks that are in use, or set max_addresses: {total}.",
            item=largest.item,
        )
    discovery = _a_host(request.discovery)
    probes = sum(target.size * (count(target.ports) + discovery) for target in request.targets)
    if probes > max_probes:
        seconds = probes * request.timeout / request.concurrency
        raise UnsafeError(
            f"{total:,} addresses with these ports are {probes:,} probes; max_probes is {max_probes:,}.",
            hint=f"Scan fewer ports or addresses, or set max_probes: {probes}. Where nothing answers, they take "
            f"{seconds / 60:,.0f} minutes.",
        )


def _a_host(discovery: Iterable[str]) -> int:
    """Return how many probes discovery makes for a host."""
    return ("icmp" in discovery) + len(KNOCK_PORTS) * ("tcp" in discovery)
