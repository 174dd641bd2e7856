# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of the types tcp and udp: ports."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from .job import Job
from .talk import Broken, Seen, connect, together, udp_socket

__all__ = ["ask_udp", "tcp", "udp"]


async def tcp(job: Job) -> Seen:
    """Connect to the ports, all at once."""
    return await _ports(job, _tcp_port)


async def udp(job: Job) -> Seen:
    """Send a packet to the ports, all at once.

    With something to ``send``, an answer is expected; without, silence is as good as a port can show.
    """
    return await _ports(job, _udp_port)


async def ask_udp(job: Job, port: int, data: bytes, what: str) -> tuple[bytes, float]:
    """Return the answer to a packet and how many milliseconds it took.

    :raises Broken: the layer tcp, which stands for the transport.
    """
    clock = job.clock()
    loop = asyncio.get_running_loop()
    try:
        asking = udp_socket(job.address, port)
    except OSError as error:
        raise Broken("route", "unavailable", f"There is no way to {job.address.text}: {error.strerror}.") from None
    try:
        await loop.sock_sendall(asking, data)
        return await clock.wait(loop.sock_recv(asking, 65536), "tcp", what), clock.ms
    finally:
        asking.close()


async def _ports(job: Job, one_port: Callable[[Job, int], Awaitable[tuple[str, float | None]]]) -> Seen:
    ports = job.rule.ports_of(job.target)

    async def in_its_turn(port: int) -> tuple[str, float | None] | Broken:
        try:
            async with job.context.slots:
                return await one_port(job, port)
        except Broken as broken:
            return broken

    found = await together([in_its_turn(port) for port in ports])
    open_ports = [port for port, result in zip(ports, found) if not isinstance(result, Broken)]
    broken = [result for result in found if isinstance(result, Broken)]
    facts = {"open": open_ports, "closed": [port for port in ports if port not in open_ports]}
    if broken and (job.rule.options["require"] == "all" or not open_ports):
        worst = broken[0]
        worst.facts.update(facts)
        worst.silent = all(one.silent for one in broken) and not open_ports
        if len(broken) > 1:
            worst.message += f" {len(broken) - 1} more of {len(ports)} ports are closed."
        raise worst
    answers = [result for result in found if not isinstance(result, Broken)]
    text = "".join(answer for answer, _ms in answers)
    times = [ms for _answer, ms in answers if ms is not None]
    message = f"{len(open_ports)} of {len(ports)} ports are open."
    return Seen(message, text or message, max(times, default=None), facts)


async def _tcp_port(job: Job, port: int) -> tuple[str, float]:
    clock = job.clock()
    (await connect(job.address, port, clock)).close()
    return "", clock.ms


async def _udp_port(job: Job, port: int) -> tuple[str, float | None]:
    data = job.rule.options["send"].encode()
    if data:
        answer, ms = await ask_udp(job, port, data, f"answer from UDP port {port}")
        return answer.decode("utf-8", "replace"), ms
    try:
        return "", (await ask_udp(job, port, b"\0", f"refusal from UDP port {port}"))[1]
    except Broken as broken:
        if broken.kind != "timeout":
            raise
        return "", None
