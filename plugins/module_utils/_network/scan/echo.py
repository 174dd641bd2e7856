# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ICMP echo to many addresses through one socket: unprivileged where the kernel allows, else raw."""

from __future__ import annotations

import errno
import os
import socket
import struct
import time

from ..._core.errors import PermissionDenied, UnavailableError
from .host import Host
from .sweep import Probe, Sweep

__all__ = ["EchoProbe", "EchoSocket"]

_REQUEST = {socket.AF_INET: 8, socket.AF_INET6: 128}
_REPLY = {socket.AF_INET: 0, socket.AF_INET6: 129}
_PROTOCOL = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}
_BUFFER = 1 << 20
_BATCH = 256
_HEADER = struct.Struct("!BBHHH")
_NUMBER = struct.Struct("!I")


class EchoSocket(Probe):
    """The socket of one address family.

    Each request carries a token of this socket and a number, so an answer is told from those to other programs.

    :raises PermissionDenied: the kernel gives this user neither kind of socket.
    :raises UnavailableError: it knows no such protocol.
    """

    __slots__ = ("_connection", "_family", "_next", "_raw", "_token", "_waiting")

    def __init__(self, family: int) -> None:
        self._family = family
        self._connection, self._raw = _open(family)
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._token = os.urandom(8)
        self._next = 0
        self._waiting: dict[int, EchoProbe] = {}

    def listen(self, sweep: Sweep) -> None:
        """Take answers as long as the sweep runs."""
        sweep.watch(self._connection, self)

    def close(self) -> None:
        """Give the kernel its socket back."""
        self._connection.close()

    def register(self, probe: EchoProbe) -> int:
        """Return a number for the requests of ``probe``."""
        self._next += 1
        self._waiting[self._next] = probe
        return self._next

    def forget(self, number: int) -> None:
        """Take no answer to this number any more."""
        del self._waiting[number]

    def send(self, host: Host, number: int) -> bool:
        """Send a request; return whether there is any use in waiting."""
        body = self._token + _NUMBER.pack(number)
        header = _HEADER.pack(_REQUEST[self._family], 0, 0, os.getpid() & 0xFFFF, number & 0xFFFF)
        if self._raw and self._family == socket.AF_INET:
            # Elsewhere the kernel puts the checksum in.
            header = header[:2] + struct.pack("!H", _checksum(header + body)) + header[4:]
        try:
            self._connection.sendto(header + body, host.at(0))
        except OSError as error:
            return error.errno in (errno.EAGAIN, errno.ENOBUFS)
        return True

    def ready(self, sweep: Sweep) -> None:
        for _number in range(_BATCH):
            try:
                packet = self._connection.recv(256)
            except OSError:
                return
            if self._raw and self._family == socket.AF_INET:
                packet = packet[(packet[0] & 15) * 4 :]  # Behind the IP header (raw(7)).
            if packet[:1] == bytes([_REPLY[self._family]]) and packet[8:16] == self._token and len(packet) == 20:
                probe = self._waiting.get(_NUMBER.unpack(packet[16:])[0])
                if probe is not None:
                    probe.ready(sweep)


class EchoProbe(Probe):
    """An echo request to a host, sent again until it is answered or ``tries`` are spent."""

    __slots__ = ("_began", "_echo", "_host", "_number", "_tries")

    def __init__(self, host: Host, echo: EchoSocket, tries: int) -> None:
        self._host = host
        self._echo = echo
        self._tries = tries

    def start(self, sweep: Sweep) -> None:
        self._number = self._echo.register(self)
        sweep.wait(self)
        self._send(sweep)

    def ready(self, sweep: Sweep) -> None:
        self._host.answer("icmp", time.monotonic() - self._began)
        self._end(sweep)

    def late(self, sweep: Sweep) -> None:
        if self._tries and not self._host.answered_by:
            sweep.wait_more(self)
            self._send(sweep)
        else:
            self._end(sweep)

    def _send(self, sweep: Sweep) -> None:
        self._tries -= 1
        self._began = time.monotonic()
        if not self._echo.send(self._host, self._number):
            self._end(sweep)

    def _end(self, sweep: Sweep) -> None:
        self._echo.forget(self._number)
        sweep.end(self)


def _open(family: int) -> tuple[socket.socket, bool]:
    """Return a socket for echoes and whether it is raw. net.ipv4.ping_group_range says who may have one that is not
    (icmp(7)); CAP_NET_RAW is needed for a raw one."""
    flags = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    try:
        return socket.socket(family, socket.SOCK_DGRAM | flags, _PROTOCOL[family]), False
    except OSError:
        pass
    try:
        return socket.socket(family, socket.SOCK_RAW | flags, _PROTOCOL[family]), True
    except PermissionError:
        raise PermissionDenied(
            "This user may not send ICMP echo requests.",
            hint="Use become: true, allow it (sysctl net.ipv4.ping_group_range='0 2147483647'), or leave icmp out of "
            "discovery.",
        ) from None
    except OSError as error:
        raise UnavailableError(f"No ICMP echo requests can be sent: {error.strerror}.") from None


def _checksum(packet: bytes) -> int:
    """Return the Internet checksum (RFC 1071) of a packet of even length."""
    total = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
