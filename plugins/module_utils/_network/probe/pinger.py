# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ICMP echo to many addresses through one socket a family.

Unprivileged datagram sockets where ``net.ipv4.ping_group_range`` allows them, else raw ones (icmp(7)). Packets have the
"don't fragment" bit. Replies are timed by the kernel's time stamps, so that a busy event loop does not look like a slow
network.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
import time
from dataclasses import dataclass

from ..._core.errors import PermissionDenied
from ..sockets import arrival_ns, forbid_fragments, is_queued_error, queue_errors, stamp_arrivals
from ..targets.addresses import Address, sockaddr

__all__ = ["Echo", "Pinger"]

_SO_RCVBUFFORCE = 33  # of asm-generic/socket.h
_TOKEN = 8
_BUFFER = 4 << 20
_UNREACHABLE = {4: 3, 6: 1}
_TOO_BIG_6 = 2
_REASONS_4 = {0: errno.ENETUNREACH, 1: errno.EHOSTUNREACH, 4: errno.EMSGSIZE}


@dataclass(frozen=True)
class Echo:
    """An answer: its ``ms``, or the ``error`` (an errno) that the network reported instead; neither in silence."""

    ms: float | None = None
    error: int = 0


class Pinger:
    """Sends echo requests and hands out the replies. Made and used in one event loop.

    :raises PermissionDenied: (by :meth:`open`) this user may use neither kind of socket.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._sockets: dict[int, _Socket] = {}
        self._pending: dict[int, tuple[asyncio.Future, int]] = {}
        self._sequence = 0
        self._token = os.urandom(_TOKEN)

    def open(self, version: int) -> None:
        """Open the socket of IP ``version`` (4 or 6) if it is not.

        :raises PermissionDenied: this user may not.
        """
        if version in self._sockets:
            return
        family, protocol = (
            (socket.AF_INET, socket.IPPROTO_ICMP) if version == 4 else (socket.AF_INET6, socket.IPPROTO_ICMPV6)
        )
        for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
            try:
                opened = socket.socket(family, kind, protocol)
                break
            except PermissionError:
                continue
        else:
            raise PermissionDenied(
                "This user may not send ICMP echo requests.",
                hint="Use become: true, or allow it to all groups: sysctl -w net.ipv4.ping_group_range='0 2147483647'.",
            )
        _tune(opened)
        self._sockets[version] = _Socket(opened, version, kind == socket.SOCK_RAW)
        self._loop.add_reader(opened, self._receive, self._sockets[version])

    def close(self) -> None:
        for used in self._sockets.values():
            self._loop.remove_reader(used.socket)
            used.socket.close()
        self._sockets.clear()

    async def echo(self, address: Address, size: int = 32, timeout: float = 1.0) -> Echo:
        """Send one request with ``size`` bytes of data (16 at least) and return what came of it within ``timeout``
        seconds.

        :raises PermissionDenied: this user may not.
        """
        self.open(address.version)
        used = self._sockets[address.version]
        sequence = self._free_sequence()
        data = self._token + struct.pack("!Q", sequence)
        data += b"\0" * (size - len(data))
        answered = self._loop.create_future()
        self._pending[sequence] = (answered, time.time_ns())
        try:
            used.send(address, sequence, data)
            return await asyncio.wait_for(answered, timeout)
        except asyncio.TimeoutError:
            return Echo()
        except OSError as error:
            return Echo(error=error.errno or errno.EIO)
        finally:
            del self._pending[sequence]

    def _free_sequence(self) -> int:
        while True:
            self._sequence = (self._sequence + 1) & 0xFFFF
            if self._sequence not in self._pending:
                return self._sequence

    def _receive(self, used: _Socket) -> None:
        while True:
            try:
                data, ancillary, _flags, _sender = used.socket.recvmsg(65536, 512)
            except BlockingIOError:
                return
            except OSError:
                # An error waits in its own queue, with the packet that it is about.
                if not used.raw:
                    self._receive_errors(used)
                continue
            self._take(used, data, arrival_ns(ancillary) or time.time_ns())

    def _receive_errors(self, used: _Socket) -> None:
        while True:
            try:
                data, ancillary, _flags, _address = used.socket.recvmsg(2048, 512, socket.MSG_ERRQUEUE)
            except OSError:
                return
            for level, kind, content in ancillary:
                if is_queued_error(level, kind) and len(content) >= 4 and len(data) >= 8:
                    self._resolve(
                        struct.unpack_from("!H", data, 6)[0], Echo(error=struct.unpack_from("=I", content)[0])
                    )

    def _take(self, used: _Socket, data: bytes, received: int) -> None:
        message = used.icmp_of(data)
        if len(message) < 8:
            return
        if message[0] == used.reply:
            sequence = struct.unpack_from("!H", message, 6)[0]
            if message[8 : 8 + _TOKEN] == self._token and sequence in self._pending:
                sent = self._pending[sequence][1]
                self._resolve(sequence, Echo(ms=round(max(0, received - sent) / 1e6, 3)))
        elif used.raw:
            self._take_error(used, message)

    def _take_error(self, used: _Socket, message: bytes) -> None:
        """Take what a router, or this host, says of a packet of ours, of which it quotes at least the first bytes."""
        if message[0] == _UNREACHABLE[used.version]:
            code = _REASONS_4.get(message[1], errno.EHOSTUNREACH) if used.version == 4 else errno.EHOSTUNREACH
        elif used.version == 6 and message[0] == _TOO_BIG_6:
            code = errno.EMSGSIZE
        else:
            return
        quoted = used.icmp_of(message[8:]) if used.version == 4 else message[48:]
        if len(quoted) >= 8 and quoted[0] == used.request and struct.unpack_from("!H", quoted, 4)[0] == used.identity:
            self._resolve(struct.unpack_from("!H", quoted, 6)[0], Echo(error=code))

    def _resolve(self, sequence: int, echo: Echo) -> None:
        if sequence in self._pending and not self._pending[sequence][0].done():
            self._pending[sequence][0].set_result(echo)


class _Socket:
    """A socket of one IP version, with what differs between versions and kinds."""

    def __init__(self, opened: socket.socket, version: int, raw: bool) -> None:
        self.socket = opened
        self.version = version
        self.raw = raw
        self.request, self.reply = (8, 0) if version == 4 else (128, 129)
        self.identity = struct.unpack("!H", os.urandom(2))[0]

    def send(self, address: Address, sequence: int, data: bytes) -> None:
        packet = struct.pack("!BBHHH", self.request, 0, 0, self.identity, sequence) + data
        if self.raw and self.version == 4:
            packet = packet[:2] + struct.pack("!H", _checksum(packet)) + packet[4:]
        self.socket.sendto(packet, sockaddr(address, 0))

    def icmp_of(self, data: bytes) -> bytes:
        """Return the ICMP message of a packet: raw sockets of IPv4 give the IP header as well."""
        if self.version == 4 and self.raw and data:
            return data[(data[0] & 0x0F) * 4 :]
        return data


def _tune(opened: socket.socket) -> None:
    opened.setblocking(False)
    try:
        opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    except PermissionError:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    stamp_arrivals(opened)
    forbid_fragments(opened)
    if opened.type == socket.SOCK_DGRAM:
        queue_errors(opened)


def _checksum(data: bytes) -> int:
    """Return the checksum of RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
