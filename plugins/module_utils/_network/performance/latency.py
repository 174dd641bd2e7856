# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Latency, jitter and loss to many targets at once, by ICMP echo or by TCP connections."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from ..._core.descriptors import raise_descriptor_limit
from ..._core.errors import PermissionDenied, ToolkitError, ValidationError
from ..._core.outcomes import Outcomes
from ..path.destinations import Destination, resolve_all
from ..probe.pinger import Pinger
from ..targets.addresses import Address
from .figures import distribution, jitter

__all__ = ["measure_latency"]

_LIMITS = {"count": (1, 10000), "size": (16, 65000), "parallel": (1, 1000)}
_SECONDS = {"interval": (0.001, 60), "timeout": (0.01, 60)}
_RESERVED = 64
"""Descriptors that are left for all but connections."""
_REASONS = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.ENETUNREACH: "network_unreachable",
    errno.EHOSTUNREACH: "host_unreachable",
    errno.EACCES: "prohibited",
    errno.EPERM: "prohibited",
    errno.EMSGSIZE: "too_big",
    errno.ETIMEDOUT: "timeout",
}


def measure_latency(params: dict) -> dict:
    """Return the result of the module's latency part: ``outcomes``, one for each of ``targets``.

    :raises ValidationError: an option can't be used.
    """
    targets = params["targets"]
    _check(params)
    found = resolve_all([target["address"] for target in targets], "targets[].address", params["ip_version"])
    measured = asyncio.run(_measure(targets, found, params))
    outcomes = Outcomes()
    for target, facts in zip(targets, measured):
        with outcomes.item(target["name"] or target["address"]) as outcome:
            if isinstance(facts, ToolkitError):
                raise facts
            outcome.update(facts)
    result = outcomes.result()
    del result["diff"]
    return result


def _check(params: dict) -> None:
    for limits, unit in ((_LIMITS, ""), (_SECONDS, " seconds")):
        for name, (least, most) in limits.items():
            if not least <= params[name] <= most:
                raise ValidationError(f"{name}: {params[name]:g} is not between {least} and {most}{unit}.")
    for number, target in enumerate(params["targets"]):
        port = target["port"]
        if port is not None and not 1 <= port <= 65535:
            raise ValidationError(
                f"targets[{number}].port: {port} is not a port.",
                hint="Ports are 1 to 65535; without one, ICMP echo is used.",
                item=target["name"] or target["address"],
            )


async def _measure(targets: list[dict], found: list[Destination | ToolkitError], params: dict) -> list:
    """Return the facts of each target, or its error; ``parallel`` targets are measured at once."""
    gate = asyncio.Semaphore(params["parallel"])
    sockets = asyncio.Semaphore(max(1, raise_descriptor_limit() - _RESERVED))
    pinger = Pinger()

    async def one(number: int) -> dict | ToolkitError:
        destination, port = found[number], targets[number]["port"]
        if isinstance(destination, ToolkitError):
            return destination
        try:
            if port:
                send = _connect(destination, port, params["timeout"], sockets)
            else:
                send = _echo(pinger, destination, params)
        except PermissionDenied as error:
            return error
        async with gate:
            # Spread over the interval, so that they are not all sent at the same moment.
            await asyncio.sleep(params["interval"] * number / len(targets))
            series = await _series(params, send)
        return {"address": destination.address, "method": "tcp" if port else "icmp", "port": port, **series}

    try:
        return await asyncio.gather(*(one(number) for number in range(len(targets))))
    finally:
        pinger.close()


def _echo(pinger: Pinger, destination: Destination, params: dict) -> Callable[[], Awaitable[tuple[str, float]]]:
    """Return what sends one echo request.

    :raises PermissionDenied: this user may not.
    """
    address = Address(destination.address, 4 if destination.family == socket.AF_INET else 6)
    pinger.open(address.version)

    async def once() -> tuple[str, float]:
        echo = await pinger.echo(address, params["size"], params["timeout"])
        if echo.ms is None:
            return _REASONS.get(echo.error, "error") if echo.error else "timeout", 0.0
        return "reply", echo.ms

    return once


def _connect(
    destination: Destination, port: int, timeout: float, sockets: asyncio.Semaphore
) -> Callable[[], Awaitable[tuple[str, float]]]:
    """Return what opens and closes one connection."""
    target = (destination.sockaddr[0], port, *destination.sockaddr[2:])

    async def once() -> tuple[str, float]:
        async with sockets:
            with socket.socket(destination.family, socket.SOCK_STREAM) as opened:
                opened.setblocking(False)
                began = time.monotonic()
                try:
                    await asyncio.wait_for(asyncio.get_running_loop().sock_connect(opened, target), timeout)
                except asyncio.TimeoutError:
                    return "timeout", 0.0
                except OSError as error:
                    return _REASONS.get(error.errno, "error"), 0.0
                return "reply", round((time.monotonic() - began) * 1000, 3)

    return once


async def _series(params: dict, send: Callable[[], Awaitable[tuple[str, float]]]) -> dict:
    """Call ``send`` ``count`` times, each ``interval``, without waiting for the answers in between; sum it up.

    :param send: tries once, and returns ``("reply", milliseconds)``, or the reason of the loss and 0.
    """

    begin = time.monotonic()
    count = params["count"]
    tasks = []
    for number in range(count):
        await asyncio.sleep(max(0.0, begin + number * params["interval"] - time.monotonic()))
        tasks.append(asyncio.ensure_future(send()))
    rounds = await asyncio.gather(*tasks)
    times = [rtt for kind, rtt in rounds if kind == "reply"]
    return {
        "sent": count,
        "received": len(times),
        "lost": count - len(times),
        "loss_percent": round(100 * (count - len(times)) / count, 2),
        "rtt_ms": distribution(times),
        "jitter_ms": jitter(times),
        "errors": dict(sorted(Counter(kind for kind, _rtt in rounds if kind != "reply").items())),
    }
