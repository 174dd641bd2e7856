# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A time limit for what happens on the controller, beside the alarm of the task keyword ``timeout``."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator

__all__ = ["TimeIsUp", "end_children", "limited_to"]

_SOON = 0.001


class TimeIsUp(BaseException):
    """The limit has passed. Like ansible-core's own, no ``except Exception`` on the way must swallow it."""


@contextlib.contextmanager
def limited_to(limit: float) -> Iterator[None]:
    """Raise :class:`TimeIsUp` in the block after ``limit`` seconds. For the main thread of a worker process.

    A process has one real-time timer (setitimer(2)), and that of a task's ``timeout`` may run already. If that one is
    due first, it is left to it. Otherwise it is set aside and goes on afterwards with what is left of its time.
    """
    theirs, _interval = signal.getitimer(signal.ITIMER_REAL)
    if 0 < theirs <= limit:
        yield
        return
    armed = True

    def expired(_number: int, _frame: object) -> None:
        if armed:
            raise TimeIsUp

    began = time.monotonic()
    handler = signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, max(limit, _SOON))
    try:
        yield
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if theirs:
            signal.setitimer(signal.ITIMER_REAL, max(theirs - (time.monotonic() - began), _SOON))


def end_children() -> None:
    """Kill and reap the child processes of this worker, such as an ssh client that waits for a dead connection."""
    for pid in _children():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for pid in _children():
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as handle:
            return [int(pid) for pid in handle.read().split()]
    except (OSError, ValueError):
        return []  # no Linux: they end by themselves
