# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel's error queue: which router or host answered a packet of ours with an ICMP error (ip(7), ipv6(7)).

A socket with ``IP_RECVERR`` gets each ICMP error that its packets caused, with the address of who sent it and the
destination and port of the packet. That needs no privileges.
"""

from __future__ import annotations

import errno
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

from ..sockets import arrival_ns, forbid_fragments, is_queued_error, queue_errors, stamp_arrivals

__all__ = ["Answer", "arrival_ms", "ask_for_errors", "read_answers"]

_ORIGIN_LOCAL, _ORIGIN_ICMP, _ORIGIN_ICMP6 = 1, 2, 3
_EXTENDED_ERROR = struct.Struct("=IBBBBII")

_KINDS = {
    _ORIGIN_ICMP: {
        (3, 0): "network_unreachable",
        (3, 1): "host_unreachable",
        (3, 2): "protocol_unreachable",
        (3, 3): "port_unreachable",
        (3, 4): "too_big",
        (3, 9): "prohibited",
        (3, 10): "prohibited",
        (3, 13): "prohibited",
        (11, 0): "time_exceeded",
    },
    _ORIGIN_ICMP6: {
        (1, 0): "network_unreachable",
        (1, 1): "prohibited",
        (1, 3): "host_unreachable",
        (1, 4): "port_unreachable",
        (1, 5): "prohibited",
        (1, 6): "prohibited",
        (2, 0): "too_big",
        (3, 0): "time_exceeded",
    },
}
"""(type, code) of RFC 792, RFC 1812, RFC 4443: what they say."""


@dataclass(frozen=True)
class Answer:
    """What came back for a packet.

    :param kind: a value of the tables above, ``unreachable`` for other errors, ``data`` for a datagram.
    :param address: who answered; ``None`` when this host's own kernel refused the packet.
    :param target: the numeric address and the port that the packet was for.
    :param mtu: for ``too_big`` the size in bytes that would have passed, 0 if it is not told.
    :param arrived: when the answer reached this host, in seconds of the wall clock; 0 if unknown.
    """

    kind: str
    address: str | None
    target: tuple[str, int]
    mtu: int
    arrived: float


def ask_for_errors(opened: socket.socket) -> None:
    """Make ``opened`` non-blocking, its errors queued, its answers stamped by the kernel, its packets unfragmented."""
    opened.setblocking(False)
    stamp_arrivals(opened)
    queue_errors(opened)
    forbid_fragments(opened)


def arrival_ms(sent: float, began: float, arrived: float) -> float:
    """Return the round-trip time in milliseconds.

    :param sent: when it was sent by the wall clock, in seconds.
    :param began: the same by the monotonic clock.
    :param arrived: when the kernel took the answer, by the wall clock; this is exact even on a busy host. Where the
        wall clock was set meanwhile, what the monotonic clock says now is taken.
    """
    waited = time.monotonic() - began
    exact = arrived - sent
    return round((exact if 0 < exact <= waited else waited) * 1000, 3)


def read_answers(opened: socket.socket) -> Iterator[Answer]:
    """Yield what is in the error queue and the receive queue of ``opened``, until both are empty."""
    for flags in (socket.MSG_ERRQUEUE, 0):
        while True:
            try:
                _packet, ancillary, _flags, target = opened.recvmsg(1, 512, flags)
            except BlockingIOError:
                break
            except OSError as error:
                # The socket's pending error, which is in the error queue too.
                if error.errno in (errno.EBADF, errno.ENOTSOCK):
                    raise
                continue
            yield _answer(ancillary, target)


def _answer(ancillary: list, target: tuple) -> Answer:
    destination = target[0].partition("%")[0]
    kind, address, mtu, arrived = "data", destination, 0, (arrival_ns(ancillary) or 0) / 1e9
    for level, number, data in ancillary:
        if is_queued_error(level, number):
            code, origin, icmp_type, icmp_code, _pad, info, _data = _EXTENDED_ERROR.unpack_from(data)
            if origin == _ORIGIN_LOCAL:
                kind = "too_big" if code == errno.EMSGSIZE else "unreachable"
                address = None
            else:
                kind = _KINDS.get(origin, {}).get((icmp_type, icmp_code), "unreachable")
                address = _offender(data[_EXTENDED_ERROR.size :])
            mtu = info if kind == "too_big" else 0
    return Answer(kind, address, (destination, target[1]), mtu, arrived)


def _offender(data: bytes) -> str | None:
    """Return the address in a ``sockaddr_in`` or ``sockaddr_in6``; ``None`` if there is none."""
    family = struct.unpack_from("=H", data)[0] if len(data) >= 2 else 0
    if family == socket.AF_INET and len(data) >= 8:
        return socket.inet_ntop(socket.AF_INET, data[4:8])
    if family == socket.AF_INET6 and len(data) >= 24:
        return socket.inet_ntop(socket.AF_INET6, data[8:24])
    return None
