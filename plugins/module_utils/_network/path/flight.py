# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""UDP packets to one destination, each with its own TTL and size, and the answer that each got."""

from __future__ import annotations

import asyncio
import errno
import itertools
import socket
import struct
import time
from dataclasses import dataclass

from .error_queue import Answer, arrival_ms, ask_for_errors, read_answers

__all__ = ["HEADER_BYTES", "PORT_SPAN", "Flight", "Reply"]

PORT_SPAN = 512
"""Each packet has a port of its own, by which its answer is known; after so many they come again."""

HEADER_BYTES = {socket.AF_INET: 28, socket.AF_INET6: 48}
"""IP and UDP headers without options."""

_ARRIVED = ("port_unreachable", "data")
_IPV6_HOPLIMIT = 52
_ATTEMPTS = 4
_REFUSALS = {errno.EMSGSIZE: "too_big", errno.EPERM: "prohibited", errno.EACCES: "prohibited"}
"""What this host's own kernel says, its firewall included."""


@dataclass(frozen=True)
class Reply:
    """Who answered a packet, what, and after how long.

    :param kind: ``arrived`` if the destination has it, else as :class:`Answer` says, such as ``time_exceeded``.
    """

    kind: str
    address: str | None
    rtt_ms: float
    mtu: int = 0

    @property
    def final(self) -> bool:
        """Whether packets with a higher TTL would get no further."""
        return self.kind not in ("time_exceeded", "too_big")


class Flight:
    """Packets to ``sockaddr`` in the running event loop; close it in the end (it is a context manager).

    :param sockaddr: address of the destination, as ``getaddrinfo`` gives it.
    :param port: the first of :data:`PORT_SPAN` ports to which packets are sent. Nothing should listen there.
    :param timeout: seconds to wait for each answer.
    """

    def __init__(self, family: int, sockaddr: tuple, port: int, timeout: float) -> None:
        self.family = family
        self.timeout = timeout
        self._sockaddr = sockaddr
        self._ports = itertools.cycle(range(port, port + PORT_SPAN))
        self._waiting: dict[int, tuple[asyncio.Future, float, float]] = {}
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Flight:
        ask_for_errors(self._socket)
        self._loop.add_reader(self._socket, self._read)
        return self

    def __exit__(self, *_exception) -> None:
        self._loop.remove_reader(self._socket)
        self._socket.close()

    async def send(self, ttl: int | None = None, size: int = 60) -> Reply | None:
        """Send one packet of ``size`` bytes, IP header included, and return what was answered; ``None`` if nothing.

        :raises OSError: the kernel can't send there, such as without a route.
        """
        port = next(self._ports)
        future = self._loop.create_future()
        self._waiting[port] = (future, time.time(), time.monotonic())
        try:
            self._send(port, ttl, bytes(max(0, size - HEADER_BYTES[self.family])), future)
            return await asyncio.wait_for(future, self.timeout)
        except asyncio.TimeoutError:
            return None
        finally:
            del self._waiting[port]

    def _send(self, port: int, ttl: int | None, payload: bytes, future: asyncio.Future) -> None:
        target = (self._sockaddr[0], port, *self._sockaddr[2:])
        ancillary = []
        if ttl is not None and self.family == socket.AF_INET6:
            ancillary = [(socket.IPPROTO_IPV6, _IPV6_HOPLIMIT, struct.pack("=i", ttl))]
        elif ttl is not None:
            ancillary = [(socket.IPPROTO_IP, socket.IP_TTL, struct.pack("=i", ttl))]
        fault = None
        for _attempt in range(_ATTEMPTS):
            try:
                self._socket.sendmsg([payload], ancillary, 0, target)
                return
            except OSError as error:
                # Either this packet's own fault, or the pending error of one before, which reading clears.
                self._read()
                if future.done():
                    return
                fault = error
        if fault.errno not in _REFUSALS:
            raise fault
        future.set_result(Reply(_REFUSALS[fault.errno], None, 0.0))

    def _read(self) -> None:
        for answer in read_answers(self._socket):
            future, sent, began = self._waiting.get(answer.target[1], (None, 0.0, 0.0))
            if future is not None and not future.done():
                future.set_result(self._reply(answer, sent, began))

    @staticmethod
    def _reply(answer: Answer, sent: float, began: float) -> Reply:
        kind = "arrived" if answer.kind in _ARRIVED else answer.kind
        return Reply(kind, answer.address, arrival_ms(sent, began, answer.arrived), answer.mtu)
