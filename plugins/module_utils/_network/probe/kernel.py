# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel knows of the way to an address: routes and neighbours, by rtnetlink(7), without a privilege."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from ..targets.addresses import Address

__all__ = ["Kernel", "Route"]

# linux/rtnetlink.h, linux/netlink.h, linux/neighbour.h
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_RTM_GETROUTE, _RTM_GETNEIGH = 26, 30
_NLM_F_REQUEST, _NLM_F_DUMP = 1, 0x300
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PREFSRC = 1, 4, 5, 7
_RTN_LOCAL = 2
_LINK_DOWN = 1 | 16
_HEADER = struct.Struct("=IHHII")
_ROUTE = struct.Struct("=BBBBBBBBI")
_NEIGHBOUR = struct.Struct("=BBHiHBB")
_UNANSWERED = 1 | 0x20
_REACHED = 2
_BUFFER = 1 << 17


@dataclass(frozen=True)
class Route:
    """The way to an address: interface, ``gateway`` (empty where the network is the interface's), ``source``; ``local``
    for addresses of this host; ``down`` where the interface has no carrier."""

    interface: str
    gateway: str
    source: str
    local: bool
    down: bool


class Kernel:
    """Asks the kernel. Each question takes some microseconds."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._socket.settimeout(5)
        self._sequence = 0
        self._names: dict[int, str] = {}

    def close(self) -> None:
        self._socket.close()

    def route(self, address: Address) -> Route:
        """Return the way that packets to an address take.

        :raises OSError: there is none (``ENETUNREACH``), or a rule forbids it.
        """
        packed, scope = _pack(address)
        body = _ROUTE.pack(address.family, len(packed) * 8, 0, 0, 0, 0, 0, 0, 0) + _attribute(_RTA_DST, packed)
        if scope:
            body += _attribute(_RTA_OIF, struct.pack("=i", scope))
        for answer in self._ask(_RTM_GETROUTE, _NLM_F_REQUEST, body):
            fields = _ROUTE.unpack_from(answer)
            found = _attributes(answer[_ROUTE.size :])
            index = struct.unpack("=i", found[_RTA_OIF])[0] if _RTA_OIF in found else 0
            return Route(
                interface=self._name_of(index),
                gateway=_unpack(found.get(_RTA_GATEWAY)),
                source=_unpack(found.get(_RTA_PREFSRC)),
                local=fields[7] == _RTN_LOCAL,
                down=bool(fields[8] & _LINK_DOWN),
            )
        raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))

    def neighbour(self, address: Address, route: Route) -> str:
        """Return what is known of the first hop: ``answers``, ``silent`` (asked for its link address in vain), or
        ``unknown``."""
        packed = socket.inet_pton(address.family, route.gateway) if route.gateway else _pack(address)[0]
        states = [0]
        for answer in self._ask(
            _RTM_GETNEIGH, _NLM_F_REQUEST | _NLM_F_DUMP, _NEIGHBOUR.pack(address.family, 0, 0, 0, 0, 0, 0)
        ):
            fields = _NEIGHBOUR.unpack_from(answer)
            found = _attributes(answer[_NEIGHBOUR.size :])
            if found.get(_RTA_DST) == packed and self._name_of(fields[3]) == route.interface:
                states.append(fields[4])
        if states[-1] & _UNANSWERED:
            return "silent"
        return "answers" if states[-1] & _REACHED else "unknown"

    def _name_of(self, index: int) -> str:
        if index not in self._names:
            try:
                self._names[index] = socket.if_indextoname(index)
            except OSError:
                return ""
        return self._names[index]

    def _ask(self, kind: int, flags: int, body: bytes) -> Iterator[bytes]:
        self._sequence += 1
        header = _HEADER.pack(_HEADER.size + len(body), kind, flags, self._sequence, 0)
        self._socket.send(header + body)
        while True:
            data = self._socket.recv(_BUFFER)
            while len(data) >= _HEADER.size:
                length, kind, _flags, sequence, _port = _HEADER.unpack_from(data)
                message, data = data[_HEADER.size : length], data[(length + 3) & ~3 :]
                if sequence != self._sequence:
                    continue
                if kind == _NLMSG_DONE:
                    return
                if kind == _NLMSG_ERROR:
                    code = -struct.unpack_from("=i", message)[0]
                    raise OSError(code, os.strerror(code))
                yield message
                if not flags & _NLM_F_DUMP:
                    return


def _pack(address: Address) -> tuple[bytes, int]:
    plain, _percent, zone = address.text.partition("%")
    scope = 0
    if zone:
        scope = int(zone) if zone.isdigit() else socket.if_nametoindex(zone)
    return socket.inet_pton(address.family, plain), scope


def _unpack(packed: bytes | None) -> str:
    if not packed:
        return ""
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def _attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            break
        found[kind] = data[4:length]
        data = data[(length + 3) & ~3 :]
    return found
