# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signals: the end of a run is recorded when SIGTERM comes, and none interrupts a commit.

The operating system may deliver a signal to any thread, but Python runs handlers in the main thread only. So it is the
handlers that are exchanged, not the thread's signal mask.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["TerminationWatch", "deferred_signals"]

_DEFERRED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@contextlib.contextmanager
def deferred_signals() -> Iterator[None]:
    """Hold SIGTERM, SIGINT and SIGHUP back until the block is done; does nothing outside of the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    previous = {}
    for number in _DEFERRED:
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            previous[number] = signal.signal(number, lambda signum, _frame: came.append(signum))
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        for number in came:
            os.kill(os.getpid(), number)


class TerminationWatch:
    """Calls ``before`` when SIGTERM comes, then the handler that was there before, which is ansible-core's.

    Workers that are forked inherit it; there only the previous handler is called.

    :param before: must not raise.
    """

    def __init__(self, before: Callable[[], object]) -> None:
        self._before = before
        self._pid = os.getpid()
        self._previous: Any = None
        with contextlib.suppress(ValueError):  # not in the main thread: an embedding program keeps its own handler
            self._previous = signal.signal(signal.SIGTERM, self._handle)

    def _handle(self, signum: int, frame: Any) -> None:
        if os.getpid() == self._pid:
            self._before()
        if callable(self._previous):
            self._previous(signum, frame)
            return
        signal.signal(signum, signal.SIG_DFL if self._previous is None else self._previous)
        os.kill(os.getpid(), signum)
