# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ranges of addresses: one, ``192.0.2.0/24``, ``192.0.2.10-192.0.2.20`` or ``192.0.2.10-20``; IPv6 likewise."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ..._core.errors import ValidationError
from ..targets import addresses

__all__ = ["Range", "parse_range", "parse_target", "subtract"]

_FAMILIES = {4: (socket.AF_INET, 4), 6: (socket.AF_INET6, 16)}
_FORMS = "Write 192.0.2.7, 192.0.2.0/24, 192.0.2.10-192.0.2.20, an IPv6 address or network"


@dataclass(frozen=True)
class Range:
    """All addresses from ``first`` to ``last``, as numbers; ``zone`` is the interface of link-local ones, or empty."""

    version: int
    first: int
    last: int
    zone: str = ""

    @property
    def size(self) -> int:
        """How many addresses these are."""
        return self.last - self.first + 1

    @property
    def family(self) -> int:
        """The address family, as the module ``socket`` has it."""
        return int(_FAMILIES[self.version][0])

    @property
    def unicast(self) -> bool:
        """Whether none of these is a multicast address, or the one that stands for none."""
        ends = (
            ipaddress.ip_address(number.to_bytes(_FAMILIES[self.version][1], "big"))
            for number in (self.first, self.last)
        )
        return not any(end.is_multicast or end.is_unspecified for end in ends)

    def __iter__(self) -> Iterator[str]:
        """Yield the addresses as texts, one by one."""
        family, width = _FAMILIES[self.version]
        for number in range(self.first, self.last + 1):
            yield socket.inet_ntop(family, number.to_bytes(width, "big"))

    def __contains__(self, address: str) -> bool:
        """Return whether ``address``, one without a zone, is one of these."""
        found = ipaddress.ip_address(address)
        return found.version == self.version and self.first <= int(found) <= self.last


def parse_target(text: str, where: str) -> Range | str:
    """Return the addresses that ``text`` stands for, or the host name that it is, as ASCII.

    :param where: name of the option, for errors.
    :raises ValidationError: it is neither.
    """
    found = _range(text, where)
    if found is not None:
        return found
    try:
        return addresses.parse_target(text, where).text
    except ValidationError as error:
        raise ValidationError(error.message, hint=f"{_FORMS}, or a name.") from None


def parse_range(text: str, where: str) -> Range:
    """Return the addresses that ``text`` stands for.

    :param where: name of the option, for errors.
    :raises ValidationError: it is something else.
    """
    found = _range(text, where)
    if found is None:
        raise ValidationError(f"{where}={text!r} is no address and no range of addresses.", hint=f"{_FORMS}.")
    return found


def _range(text: str, where: str) -> Range | None:
    if "/" in text:
        return _network(text, where)
    low, dash, high = text.partition("-")
    first = _address(low)
    if first is None or not dash:
        return first
    # 192.0.2.10-20: the end has the same first octets.
    last = _address(low.rpartition(".")[0] + "." + high if first.version == 4 and high.isdigit() else high)
    if last is None or last.version != first.version or last.zone not in ("", first.zone):
        raise ValidationError(f"{where}={text!r}: {high!r} is no end of a range from {low}.", hint=f"{_FORMS}.")
    if last.first < first.first:
        raise ValidationError(f"{where}={text!r} ends before it begins.", hint="Write the lower address first.")
    return replace(first, last=last.first)


def _address(text: str) -> Range | None:
    bare, _percent, zone = text.partition("%")
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return None
    if zone and address.version == 4:
        return None
    return Range(address.version, int(address), int(address), zone)


def _network(text: str, where: str) -> Range:
    """Return the hosts of a network: not the network's own address and not the broadcast address (RFC 3021: a /31 has
    neither), nor the subnet-router anycast address of IPv6 (RFC 4291, section 2.6.1)."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise ValidationError(f"{where}={text!r} is no network: {error}.", hint=f"{_FORMS}.") from None
    if ipaddress.ip_address(text.partition("/")[0]) != network.network_address:
        raise ValidationError(f"{where}={text!r} is an address in a network.", hint=f"Write {network}.")
    first, last = int(network.network_address), int(network.broadcast_address)
    if last - first > 1:
        first += 1
        last -= network.version == 4
    return Range(network.version, first, last)


def subtract(whole: Range, excluded: Iterable[Range]) -> list[Range]:
    """Return what is left of ``whole`` without the ``excluded`` ranges, in order."""
    left = [whole]
    for hole in excluded:
        if hole.version == whole.version:
            left = [piece for old in left for piece in _without(old, hole)]
    return left


def _without(old: Range, hole: Range) -> list[Range]:
    if hole.last < old.first or hole.first > old.last:
        return [old]
    below = replace(old, last=hole.first - 1)
    above = replace(old, first=hole.last + 1)
    return [piece for piece in (below, above) if piece.first <= piece.last]
