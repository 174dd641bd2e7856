# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole answer for a list of destinations: routes, hops, path MTU and neighbours, all destinations at once."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass

from ..._core.commands import Commands
from ..._core.descriptors import raise_descriptor_limit
from ..._core.errors import ToolkitError, ValidationError
from ..._core.outcomes import Outcomes
from .destinations import Destination, names_of, resolve_all
from .flight import PORT_SPAN, Flight
from .kernel import Kernel
from .mtu import discover_mtu
from .trace import trace

__all__ = ["path_info"]

_RESERVED = 64
"""Descriptors that are left for all but flights."""
_LIMITS = {
    "max_hops": (1, 255),
    "probes": (1, 10),
    "max_silent_hops": (1, 255),
    "parallel": (1, 500),
    "port": (1, 65536 - PORT_SPAN),
}


@dataclass
class _Path:
    """A destination on its way through the call."""

    name: str
    found: Destination | None = None
    error: BaseException | None = None
    route: dict | None = None
    facts: dict | None = None


def path_info(params: dict, commands: Commands) -> dict:
    """Return the module's result for its parameters.

    :raises ValidationError: an option can't be used.
    :raises DependencyError: iproute2 is not installed.
    """
    _check(params)
    kernel = Kernel(commands)
    paths = _find(params, kernel)
    asyncio.run(_travel(paths, params, kernel))
    if params["resolve_names"]:
        _name(paths)
    outcomes = Outcomes()
    for path in paths:
        with outcomes.item(path.name) as outcome:
            if path.error:
                raise path.error
            outcome.update(path.facts)
    result = outcomes.result()
    del result["diff"]
    result["neighbours"] = kernel.neighbours()
    result["vantage"] = {"hostname": socket.gethostname(), "addresses": kernel.addresses()}
    return result


def _find(params: dict, kernel: Kernel) -> list[_Path]:
    """Return a path for each destination, with its route as far as there is one."""
    names = params["destinations"]
    paths = [_Path(name) for name in names]
    for path, found in zip(paths, resolve_all(names, "destinations", params["ip_version"])):
        if isinstance(found, ToolkitError):
            path.error = found
        else:
            path.found = found
    known = [path for path in paths if path.found]
    for path, route in zip(known, kernel.routes(path.found.sockaddr for path in known)):
        if isinstance(route, ToolkitError):
            path.error = route
        else:
            path.route = route
    return paths


def _check(params: dict) -> None:
    if not params["destinations"]:
        raise ValidationError("destinations is empty.", hint="Name at least one address or host name.")
    for name, (least, most) in _LIMITS.items():
        if not least <= params[name] <= most:
            raise ValidationError(f"{name}: {params[name]} is not between {least} and {most}.")
    if not 0.05 <= params["timeout"] <= 60:
        raise ValidationError(f"timeout: {params['timeout']:g} is not between 0.05 and 60 seconds.")


async def _travel(paths: list[_Path], params: dict, kernel: Kernel) -> None:
    """Trace all ``paths`` that have a route; what fails is kept with its path."""
    gate = asyncio.Semaphore(max(1, min(params["parallel"], raise_descriptor_limit() - _RESERVED)))

    async def one(path: _Path) -> None:
        async with gate:
            try:
                path.facts = await _facts(path, params, kernel)
            except OSError as error:
                path.error = error

    await asyncio.gather(*(one(path) for path in paths if path.route))


async def _facts(path: _Path, params: dict, kernel: Kernel) -> dict:
    with Flight(path.found.family, path.found.sockaddr, params["port"], params["timeout"]) as flight:
        traced = await trace(flight, params["max_hops"], params["probes"], params["max_silent_hops"])
        mtu = None
        if params["mtu"]:
            mtu = await discover_mtu(flight, kernel.device_mtu(path.route["device"]), traced)
    return {
        "address": path.found.address,
        "addresses": list(path.found.addresses),
        "route": path.route,
        "arrived": traced.arrived,
        "end": traced.end,
        "hops": [hop.as_dict() for hop in traced.hops],
        "mtu": mtu,
    }


def _name(paths: list[_Path]) -> None:
    """Put the names of the hops' addresses into the hops."""
    hops = [hop for path in paths if path.facts for hop in path.facts["hops"] if hop["address"]]
    names = names_of({hop["address"] for hop in hops})
    for hop in hops:
        hop["name"] = names.get(hop["address"])
