# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Linux can do for sockets and Python does not name in all versions (ip(7), ipv6(7), socket(7))."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable

__all__ = ["arrival_ns", "forbid_fragments", "is_queued_error", "queue_errors", "stamp_arrivals"]

# linux/in.h, linux/in6.h, asm-generic/socket.h
_RECVERR = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
_MTU_DISCOVER = {socket.AF_INET: (socket.IPPROTO_IP, 10), socket.AF_INET6: (socket.IPPROTO_IPV6, 23)}
_PMTUDISC_PROBE = 3
_TIMESTAMPNS = (socket.SOL_SOCKET, 35)
_TIMESPEC = struct.Struct("@ll")
_ERRORS = frozenset(_RECVERR.values())


def queue_errors(opened: socket.socket) -> None:
    """Have each ICMP error that a packet of ``opened`` causes kept in its error queue."""
    opened.setsockopt(*_RECVERR[opened.family], 1)


def is_queued_error(level: int, kind: int) -> bool:
    """Return whether ancillary data of this level and kind is an entry of the error queue."""
    return (level, kind) in _ERRORS


def forbid_fragments(opened: socket.socket) -> None:
    """Set "don't fragment", and send whatever size the interface takes, whatever path MTU the kernel knows."""
    opened.setsockopt(*_MTU_DISCOVER[opened.family], _PMTUDISC_PROBE)


def stamp_arrivals(opened: socket.socket) -> None:
    """Have the kernel tell of each packet when it arrived, see :func:`arrival_ns`."""
    opened.setsockopt(*_TIMESTAMPNS, 1)


def arrival_ns(ancillary: Iterable[tuple[int, int, bytes]]) -> int | None:
    """Return when a packet arrived, in nanoseconds since the epoch; ``None`` if its ancillary data does not tell."""
    for level, kind, data in ancillary:
        if (level, kind) == _TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return seconds * 1_000_000_000 + nanoseconds
    return None
