# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which layer silence means. A connection that nobody answers looks the same whether a cable is cut or a firewall drops
it, so what else is known is asked: the link, the first hop, and echo requests of two sizes.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import NamedTuple

from ..._core.errors import PermissionDenied
from .job import Job
from .kernel import Route
from .talk import Broken, Clock, connect

__all__ = ["explain_silence"]

_PATIENCE = 1.0
_TRIES = 3
_SMALL = 32
_MTU = 1500


class _Headers(NamedTuple):
    """Bytes of headers beside the data: of TCP with time stamps, and of ICMP, each with those of IP."""

    tcp: int
    icmp: int


_HEADERS = {4: _Headers(20 + 32, 20 + 8), 6: _Headers(40 + 32, 40 + 8)}


async def explain_silence(job: Job, route: Route, broken: Broken) -> Broken:
    """Return what a :class:`Broken` that is silent says, after all that is known of the way to the address."""
    if route.down:
        return _route(broken, f"The link {route.interface} is down.", final=True)
    if route.local:
        return broken
    if broken.layer not in ("tcp", "route"):
        return await _whether_large_packets_pass(job, broken)
    neighbour = job.context.kernel.neighbour(job.address, route)
    if neighbour == "silent":
        first_hop = route.gateway or job.address.text
        why = f"{first_hop} on {route.interface} does not answer for its link address."
        return _route(broken, why, final=True)
    if broken.layer == "tcp":
        return await _whether_reached(job, route, broken, neighbour)
    return broken


async def _whether_reached(job: Job, route: Route, broken: Broken, neighbour: str) -> Broken:
    answered = await _echo(job, _SMALL)
    if answered:
        broken.message += " The host answers echo requests, so the port is filtered."
    elif answered is False and not route.gateway and neighbour == "answers":
        broken.message += f" The host is on the link {route.interface}, so its packets are filtered."
    elif answered is False:
        return _route(broken, f"Nothing comes back from {job.address.text}.")
    return broken


async def _whether_large_packets_pass(job: Job, broken: Broken) -> Broken:
    """After a connection was made and nothing more came: packets of full size may be lost on the way.

    Full size is what both ends agreed upon, so that a path where the MSS is clamped is no black hole.
    """
    headers = _HEADERS[job.address.version]
    try:
        with await connect(job.address, job.port, Clock(_PATIENCE)) as connection:
            segment = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
    except Broken:
        return broken
    whole = min(segment + headers.tcp, _MTU)
    small, large = await asyncio.gather(_echo(job, _SMALL), _echo(job, whole - headers.icmp))
    if small and large is False:
        why = f"Packets of {whole} bytes get no answer, small ones do: the path loses what is over its MTU."
        return _route(broken, why)
    return broken


async def _echo(job: Job, size: int) -> bool | None:
    """Return whether an echo request is answered; ``None`` where this user may send none, or not of this size."""
    try:
        pinger = job.context.pinger
        echoes = await asyncio.gather(*(pinger.echo(job.address, size, _PATIENCE) for _try in range(_TRIES)))
    except (PermissionDenied, OSError):
        return None
    if any(echo.ms is not None for echo in echoes):
        return True
    return None if all(echo.error == errno.EMSGSIZE for echo in echoes) else False


def _route(broken: Broken, why: str, final: bool = False) -> Broken:
    return Broken("route", broken.kind, f"{why} {broken.message}", silent=True, final=final, **broken.facts)
