# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One check: a rule, a target, and what all checks of a call share."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ..targets.addresses import Address, Name
from ..targets.rules import Rule
from ..targets.targets import Target
from .kernel import Kernel
from .pinger import Pinger
from .resolver import Resolver
from .talk import Broken, Clock

__all__ = ["Context", "Job", "Slots"]


class Slots:
    """Bounds how many do something at once, in the order in which they come.

    ``asyncio.Semaphore`` looks at all that wait whenever one leaves, which takes most of the time of a large call.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[asyncio.Future] = deque()

    async def __aenter__(self) -> None:
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await turn

    async def __aexit__(self, *_error: object) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


@dataclass
class Context:
    """What the checks of one call share. ``slots`` bounds how many run at once; ``start`` starts a program, as
    ``asyncio.create_subprocess_exec`` does."""

    kernel: Kernel
    pinger: Pinger
    resolver: Resolver
    slots: Slots
    start: Callable[..., Awaitable[asyncio.subprocess.Process]]
    tls: dict[tuple, ssl.SSLContext] = field(default_factory=dict)


@dataclass
class Job:
    """One rule for one target whose address is known; networks have none."""

    context: Context
    rule: Rule
    target: Target
    addresses: list[Address] = field(default_factory=list)
    dns_ms: float | None = None

    @property
    def address(self) -> Address:
        """The address that is used."""
        return self.addresses[0]

    @property
    def host(self) -> Address | Name:
        """The address or name of the target."""
        return self.target.endpoint.host

    @property
    def port(self) -> int:
        """The port of rules that have one."""
        return self.rule.ports_of(self.target)[0]

    def clock(self) -> Clock:
        """Return a clock that ends with the time of the rule."""
        return Clock(self.rule.timeout)

    def need(self, right: bool, message: str, kind: str = "integrity", **facts: object) -> None:
        """Break the layer of the rule with ``message`` unless it is ``right``."""
        if not right:
            raise Broken(self.rule.layer, kind, message, **facts)
