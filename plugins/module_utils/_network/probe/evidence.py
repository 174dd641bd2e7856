# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which layer silence means. A connection that nobody answers looks the same whether a cable is cut or a firewall drops
it, so what else is known is asked: the link, the first hop, and echo requests of two sizes.
"""

from __future__ import annotations

import asyncio
import errno

from ..._core.errors import PermissionDenied
from ..targets.addresses import Address
from .job import Context
from .kernel import Route
from .talk import Broken

__all__ = ["explain_silence"]

_PATIENCE = 1.0
_TRIES = 3
_SMALL, _LARGE = 32, 1472
"""Bytes of data; the large one fills a packet of 1500 bytes with IPv4."""
_HEADERS = {4: 28, 6: 48}


async def explain_silence(context: Context, address: Address, route: Route, broken: Broken) -> Broken:
    """Return what a :class:`Broken` that is silent says, after all that is known of the way to the address."""
    if route.down:
        return _route(broken, f"The link {route.interface} is down.", final=True)
    if route.local:
        return broken
    if broken.layer in ("tcp", "route"):
        first_hop = route.gateway or address.text
        neighbour = context.kernel.neighbour(address, route)
        if neighbour == "silent":
            why = f"{first_hop} on {route.interface} does not answer for its link address."
            return _route(broken, why, final=True)
        if broken.layer == "tcp":
            return await _whether_reached(context, address, route, broken, neighbour)
        return broken
    return await _whether_large_packets_pass(context, address, broken)


async def _whether_reached(context: Context, address: Address, route: Route, broken: Broken, neighbour: str) -> Broken:
    answered = await _echo(context, address, _SMALL)
    if answered is None or answered:
        if answered:
            broken.message += " The host answers echo requests, so the port is filtered."
        return broken
    if not route.gateway and neighbour == "answers":
        broken.message += f" The host is on the link {route.interface}, so its packets are filtered."
        return broken
    return _route(broken, f"Nothing comes back from {address.text}.")


async def _whether_large_packets_pass(context: Context, address: Address, broken: Broken) -> Broken:
    """After a connection was made and nothing more came: packets of full size may be lost on the way."""
    size = _LARGE if address.version == 4 else _LARGE + _HEADERS[4] - _HEADERS[6]
    small, large = await asyncio.gather(_echo(context, address, _SMALL), _echo(context, address, size))
    if small and large is False:
        whole = size + _HEADERS[address.version]
        return _route(
            broken, f"Packets of {whole} bytes get no answer, small ones do: the path loses what is over its MTU."
        )
    return broken


async def _echo(context: Context, address: Address, size: int) -> bool | None:
    """Return whether an echo request is answered; ``None`` where this user may send none, or not of this size."""
    try:
        echoes = await asyncio.gather(*(context.pinger.echo(address, size, _PATIENCE) for _try in range(_TRIES)))
    except (PermissionDenied, OSError):
        return None
    if any(echo.ms is not None for echo in echoes):
        return True
    return None if all(echo.error == errno.EMSGSIZE for echo in echoes) else False


def _route(broken: Broken, why: str, final: bool = False) -> Broken:
    return Broken("route", broken.kind, f"{why} {broken.message}", silent=True, final=final, **broken.facts)
