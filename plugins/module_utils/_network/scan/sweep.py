# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The loop that all probes of a scan run in: one thread, one epoll(7), at most so many open at once.

It is not asyncio, whose futures, handles and timers cost several times what a connect(2) does. All probes have the same
time limit, so one queue keeps them in the order of their deadlines.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator

from ..._core.descriptors import raise_descriptor_limit
from ..._core.errors import UnavailableError

__all__ = ["Probe", "Sweep"]

_BATCH = 64
"""How many probes are started before answers are looked for."""
_SPARE_DESCRIPTORS = 64
"""What the process may have open besides, standard streams and libraries included."""


class Probe:
    """A question to one host that is answered, or late. The sweep calls it; it calls the sweep back."""

    __slots__ = ("deadline",)

    deadline: float | None

    def start(self, sweep: Sweep) -> None:
        """Ask. If the answer is not there at once, call :meth:`Sweep.wait`.

        :raises OSError: no socket could be made.
        """
        raise NotImplementedError

    def ready(self, sweep: Sweep) -> None:
        """Take the answer: the socket that was given to :meth:`Sweep.wait` has one. Then call :meth:`Sweep.end`, or
        wait again."""
        raise NotImplementedError

    def late(self, sweep: Sweep) -> None:
        """Do what is to be done when the time is over. Then call :meth:`Sweep.end`, or wait again."""
        raise NotImplementedError


class Sweep:
    """Runs probes.

    :param bound: how many wait for an answer at most.
    :param timeout: seconds that each waits.
    :param rate: how many are started in a second at most; ``None`` for as many as can be.
    """

    def __init__(self, bound: int, timeout: float, rate: float | None = None) -> None:
        self.timeout = timeout
        self._bound = max(1, min(bound, raise_descriptor_limit() - _SPARE_DESCRIPTORS))
        self._pause = 1 / rate if rate else 0.0
        self._next_start = 0.0
        self._epoll = select.epoll()
        self._watched: dict[int, Probe] = {}
        self._queue: deque[tuple[float, Probe]] = deque()
        self._waiting = 0

    def run(self, probes: Iterable[Probe]) -> None:
        """Start ``probes``, as they come, and return when the last one has ended.

        :raises UnavailableError: the kernel gives no more sockets.
        """
        left: Iterator[Probe] | None = iter(probes)
        while left or self._waiting:
            if left and not self._start(left):
                left = None
            self._take_answers(bool(left))
            self._end_late()

    def wait(self, probe: Probe, connection: socket.socket | None = None, events: int = select.EPOLLIN) -> None:
        """Have ``probe`` wait for an answer from now on, one time limit long.

        :param connection: its own socket, new to this sweep. What shares one is called by its owner.
        """
        probe.deadline = time.monotonic() + self.timeout
        self._queue.append((probe.deadline, probe))
        self._waiting += 1
        if connection is not None:
            self._watched[connection.fileno()] = probe
            self._epoll.register(connection.fileno(), events)

    def wait_more(self, probe: Probe, connection: socket.socket | None = None, events: int = select.EPOLLIN) -> None:
        """Have a waiting ``probe`` wait for another answer, one time limit long from now on."""
        probe.deadline = time.monotonic() + self.timeout
        self._queue.append((probe.deadline, probe))
        if connection is not None:
            self._epoll.modify(connection.fileno(), events)

    def end(self, probe: Probe, connection: socket.socket | None = None) -> None:
        """Have a waiting ``probe`` end, and close its ``connection``."""
        probe.deadline = None
        self._waiting -= 1
        if connection is not None:
            del self._watched[connection.fileno()]
            connection.close()  # Which takes it out of the epoll.

    def watch(self, connection: socket.socket, owner: Probe) -> None:
        """Call ``owner.ready`` when ``connection`` has something to read, as long as the sweep runs."""
        self._watched[connection.fileno()] = owner
        self._epoll.register(connection.fileno(), select.EPOLLIN)

    def close(self) -> None:
        """Give the kernel its epoll back."""
        self._epoll.close()

    def _start(self, probes: Iterator[Probe]) -> bool:
        """Start as many as may be, a batch at most; return whether there may be more."""
        for _number in range(min(_BATCH, self._bound - self._waiting)):
            if self._pause:
                now = time.monotonic()
                if now < self._next_start:
                    break
                self._next_start = max(self._next_start, now - self._pause) + self._pause
            probe = next(probes, None)
            if probe is None:
                return False
            try:
                probe.start(self)
            except OSError as error:
                raise UnavailableError(
                    f"The kernel gives no more sockets: {error.strerror}.",
                    hint=f"Lower concurrency, {self._bound} now, or raise the limit: ulimit -n.",
                ) from None
        return True

    def _take_answers(self, more: bool) -> None:
        """Call the probes that have an answer; wait for one where nothing else can be done meanwhile."""
        wait = 0.0
        now = time.monotonic()
        if self._waiting and (not more or self._waiting >= self._bound or self._pause):
            wait = max(self._queue[0][0] - now, 0.0)
        if more and self._pause and self._waiting < self._bound:
            untold = max(self._next_start - now, 0.0)
            wait = min(wait, untold) if self._waiting else untold
        for descriptor, _events in self._epoll.poll(wait, 4 * _BATCH):
            probe = self._watched.get(descriptor)
            if probe is not None:
                probe.ready(self)

    def _end_late(self) -> None:
        """End the waits that are over; forget those in front that were answered."""
        queue, now = self._queue, time.monotonic()
        while queue:
            deadline, probe = queue[0]
            if probe.deadline == deadline:
                if deadline > now:
                    return
                queue.popleft()
                probe.late(self)
            else:
                queue.popleft()
