# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of the type icmp: echo to a host, and to all hosts of a network."""

from __future__ import annotations

import asyncio
import os

from .job import Job
from .pinger import Echo
from .talk import Broken, Seen, together

__all__ = ["MOST_HOSTS", "discover", "ping"]

MOST_HOSTS = 4096
"""Hosts of a network that are asked: a /20."""


async def ping(job: Job) -> Seen:
    """Send the echo requests of the rule and judge loss."""
    options = job.rule.options
    count = options["count"]
    echoes = await _series(job, count, options["interval_ms"] / 1000)
    times = sorted(echo.ms for echo in echoes if echo.ms is not None)
    loss = round(100 * (count - len(times)) / count, 1)
    facts = {"sent": count, "received": len(times), "loss_percent": loss, "size": options["size"]}
    if not times:
        error = next((echo.error for echo in echoes if echo.error), 0)
        if error:
            raise Broken("route", "unavailable", f"Echo requests fail: {os.strerror(error)}.", final=True, **facts)
        message = f"No echo reply within {job.rule.timeout:g} s ({count} sent)."
        raise Broken("route", "timeout", message, silent=True, **facts)
    average = round(sum(times) / len(times), 3)
    steps = [abs(one.ms - other.ms) for one, other in _neighbours(echoes)]
    facts.update(
        min_ms=times[0],
        avg_ms=average,
        max_ms=times[-1],
        jitter_ms=round(sum(steps) / len(steps), 3) if steps else 0.0,
    )
    if loss and loss >= options["fail_loss"]:
        raise Broken("route", "unavailable", f"{loss:g} % of {count} echo requests were lost.", **facts)
    degraded = f"{loss:g} % of {count} echo requests were lost." if loss and loss >= options["warn_loss"] else ""
    message = f"{len(times)} of {count} echo replies, {average:g} ms."
    return Seen(message, message, average, facts, degraded)


async def discover(job: Job) -> Seen:
    """Send an echo request to each host of a network and tell which answer."""
    hosts = job.target.network.hosts()

    async def one(host: object) -> Echo:
        async with job.context.slots:
            return await job.context.pinger.echo(host, timeout=job.rule.timeout)

    echoes = await asyncio.gather(*(one(host) for host in hosts))
    alive = [host.text for host, echo in zip(hosts, echoes) if echo.ms is not None]
    facts = {"asked": len(hosts), "alive": alive}
    message = f"{len(alive)} of {len(hosts)} hosts answer."
    if len(alive) < job.rule.options["minimum_alive"]:
        error = next((echo.error for echo in echoes if echo.error), 0)
        why = f" {os.strerror(error)}." if error else ""
        raise Broken("route", "unavailable", message + why, **facts)
    times = [echo.ms for echo in echoes if echo.ms is not None]
    return Seen(message, "\n".join(alive), round(sum(times) / len(times), 3) if times else None, facts)


async def _series(job: Job, count: int, interval: float) -> list[Echo]:
    """Return what came of ``count`` requests that are sent ``interval`` seconds apart, in the order of sending."""
    options = job.rule.options

    async def one(number: int) -> Echo:
        await asyncio.sleep(number * interval)
        return await job.context.pinger.echo(job.address, options["size"], job.rule.timeout)

    return await together([one(number) for number in range(count)])


def _neighbours(echoes: list[Echo]) -> list[tuple[Echo, Echo]]:
    answered = [echo for echo in echoes if echo.ms is not None]
    return list(zip(answered, answered[1:]))
