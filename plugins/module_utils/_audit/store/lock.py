# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lock of the log: at most one process writes it, and nobody waits who does not want to.

A POSIX record lock: a worker that ansible-core forks does not inherit it, so it is gone when its holder is, even by
kill
-9. Such locks do not hold between threads of one process and end when any descriptor of the file is closed, so the
process also notes by itself what it holds.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading

__all__ = ["LogLock"]

_NAME = "integrator.lock"
_guard = threading.Lock()
_held: dict[str, int] = {}


class LogLock:
    """The lock of the log in ``directory``, which must exist."""

    def __init__(self, directory: str) -> None:
        self.path = os.path.join(os.path.realpath(directory), _NAME)
        self._descriptor = -1

    def acquire(self) -> bool:
        """Take the lock if it is free and return whether that is so; never waits.

        :raises OSError: the file can't be made or opened.
        """
        with _guard:
            if _held.get(self.path) == os.getpid():
                return False
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self.path, flags, 0o600)
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            except BaseException:
                os.close(descriptor)
                raise
            self._descriptor = descriptor
            _held[self.path] = os.getpid()
        with contextlib.suppress(OSError):  # for people only, so a full disk is no reason to fail
            os.pwrite(descriptor, b"%-10d\n" % os.getpid(), 0)
        return True

    def release(self) -> None:
        """Give the lock back; twice is harmless."""
        with _guard:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
                _held.pop(self.path, None)

    def holder(self) -> int | None:
        """Return the process id of who had the lock last, ``None`` where nobody knows."""
        try:
            with open(self.path, encoding="ascii") as handle:
                return int(handle.read(11))
        except (OSError, ValueError):
            return None
