# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The largest packet that arrives unfragmented, and where larger ones vanish.

A router that can't forward a large packet has to say so, and which size would pass (RFC 1191, RFC 8201). Where that
answer is lost, connections hang as soon as they send much: an MTU black hole. So real packets decide here, as RFC 4821
advises: what arrives is answered by the destination, because nothing listens on the port.
"""

from __future__ import annotations

import asyncio
import math
import socket

from .flight import Flight
from .trace import Hop, Trace

__all__ = ["discover_mtu"]

_LEAST = {socket.AF_INET: 68, socket.AF_INET6: 1280}
"""Bytes that every link has to carry (RFC 791, RFC 8200)."""
_MOST = 65535
_TRIES = 3
_AT_ONCE = 4
"""Sizes tried at once. Linux answers six at once, and then one a second."""
_CONFIRMATIONS = 3
_PATIENCE = 3.0


async def discover_mtu(flight: Flight, interface_bytes: int, traced: Trace) -> dict:
    """Return ``{status, bytes, interface_bytes, limits, black_hole}``.

    ``status`` is ``found``; ``black_hole`` if larger packets vanish although no router says so; ``unanswered`` if not
    even the smallest packets are answered, so that nothing can be said. Sizes are in bytes with the IP header.

    :param traced: a trace to the same destination, which tells where packets vanish.
    """
    search = _Search(flight, min(interface_bytes, _MOST))
    await search.run()
    found = {
        "status": search.status,
        "bytes": search.arrives or None,
        "interface_bytes": interface_bytes,
        "limits": search.limits,
        "black_hole": None,
    }
    if search.status == "black_hole":
        found["black_hole"] = {"from_bytes": search.silent, **await _locate(flight, search.silent, traced.hops)}
    return found


class _Search:
    """``arrives`` is the largest size seen to arrive, ``silent`` the smallest that vanished; 0 before there is one.

    Hosts answer seldom, so silence alone means nothing. Hence packets go in volleys, the largest first, and one that
    is known to arrive last: once any is answered, those before it could have been answered as well, but did not arrive.
    """

    def __init__(self, flight: Flight, first: int) -> None:
        self._flight = flight
        self._size = first
        self.limits: list[dict] = []
        self.arrives = 0
        self.silent = 0

    @property
    def status(self) -> str:
        if not self.arrives:
            return "unanswered"
        return "black_hole" if self.silent else "found"

    async def run(self) -> None:
        least = _LEAST[self._flight.family]
        arrived, told = await self._volley([self._size, least])
        while least <= told < self._size:
            self._size = told
            arrived, told = await self._volley([self._size, least])
        self.arrives, self.silent = arrived, self._size if arrived < self._size else 0
        confirmed = 0
        while self.arrives and self.silent and confirmed < _CONFIRMATIONS:
            confirmed += self.silent - self.arrives == 1
            await self._narrow()

    async def _narrow(self) -> None:
        """Try sizes up to the smallest that vanished; that one itself when no other is left."""
        gap = self.silent - self.arrives
        parts = min(_AT_ONCE + 1, gap)
        sizes = [self.arrives + gap * part // parts for part in range(parts - 1, 0, -1)] or [self.silent]
        arrived, _told = await self._volley([*sizes, self.arrives])
        if arrived == self.silent:
            # It was lost by chance before: what is larger has to be searched again.
            self.silent = self._size if arrived < self._size else 0
        elif arrived:
            self.silent = min(size for size in (*sizes, self.silent) if size > arrived)
        self.arrives = arrived

    async def _volley(self, sizes: list[int]) -> tuple[int, int]:
        """Send packets of these ``sizes``; return the largest that arrived and the size that a router said passes.

        Either is 0 if there is none. It is repeated until there is an answer, for :data:`_PATIENCE` seconds.
        """
        for _attempt in range(max(_TRIES, math.ceil(_PATIENCE / self._flight.timeout))):
            replies = await asyncio.gather(*(self._flight.send(size=size) for size in sizes))
            answered = [(size, reply) for size, reply in zip(sizes, replies) if reply is not None]
            arrived = [size for size, reply in answered if reply.kind == "arrived"]
            limits = [reply for _size, reply in answered if reply.kind == "too_big" and reply.mtu]
            for limit in ({"address": reply.address, "bytes": reply.mtu} for reply in limits):
                if limit not in self.limits:
                    self.limits.append(limit)
            if arrived or limits:
                return max(arrived, default=0), min((reply.mtu for reply in limits), default=0)
        return 0, 0


async def _locate(flight: Flight, size: int, hops: list[Hop]) -> dict:
    """Return the last hop that a packet of ``size`` bytes reaches, and the next one of which small packets told."""
    reached = {0: None}
    for _attempt in range(_TRIES):
        missing = [hop.ttl for hop in hops if hop.ttl not in reached and hop.answered]
        replies = await asyncio.gather(*(flight.send(ttl=ttl, size=size) for ttl in missing))
        reached.update(
            {ttl: reply.address for ttl, reply in zip(missing, replies) if reply and reply.kind == "time_exceeded"}
        )
    last = max(reached)
    after = next(((hop.ttl, hop.answered[0].address) for hop in hops if hop.ttl > last and hop.answered), (None, None))
    return {
        "last_ttl": last,
        "last_address": reached[last],
        "next_ttl": after[0],
        "next_address": after[1],
    }
