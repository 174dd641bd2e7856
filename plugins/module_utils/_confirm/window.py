# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of one change between being live and being confirmed, kept as the name of a directory under /run.

``TOKEN.new`` (being written) -> ``TOKEN.pending`` (live or about to be) -> ``TOKEN.confirming`` -> ``TOKEN.confirmed``,
or ``TOKEN.pending`` -> ``TOKEN.rolled-back``. Each step is one rename under a lock that the rollback script takes too,
so confirm and rollback can't both win, and whoever comes after a crash reads where it happened.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .._core.errors import TimeoutExpired, ValidationError
from .._core.files import write_atomic

__all__ = ["BASE", "Window", "pending_tokens"]

BASE = "/run/scripts-toolkit/confirm"
"""On a tmpfs, so that a restart of the host forgets all of it."""

_STATES = ("new", "pending", "confirming", "confirmed", "rolled-back")
_LOCK_WAIT = 60.0
_MEMORY = 7200.0
"""Seconds that the outcome of a change can be asked for: the longest window and time to reconnect."""

_POLL = 0.1


def _now() -> float:
    """Seconds on the clock that systemd's OnActiveSec counts."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


class Window:
    """One change, by the ``name`` of what is changed and the ``token`` of the run that changes it.

    :param base: the directory of all windows; another one than :data:`BASE` is for tests.
    :raises ValidationError: name or token are not plain words.
    """

    def __init__(self, name: str, token: str, base: str = BASE) -> None:
        for word in (name, token):
            if not word or not all(part.isascii() and (part.isalnum() or part in "-_") for part in word):
                raise ValidationError(f"{word!r} can't name a pending change.")
        self.name = name
        self.token = token
        self.root = os.path.join(base, name)
        self.script = os.path.join(self.root, f"{token}.sh")

    @property
    def unit(self) -> str:
        """Name of the transient timer and service, without suffix."""
        return f"scripts-toolkit-confirm-{self.name}-{self.token[:12]}"

    def path(self, state: str) -> str:
        """Return the directory that this change has in ``state``."""
        return os.path.join(self.root, f"{self.token}.{state}")

    @property
    def state(self) -> str | None:
        """The state this change is in; ``None``: this host knows nothing of it."""
        return next((state for state in _STATES if os.path.isdir(self.path(state))), None)

    def move(self, old: str, new: str) -> bool:
        """Go from one state to another; return False when the change is not in ``old``."""
        try:
            os.rename(self.path(old), self.path(new))
        except FileNotFoundError:
            return False
        return True

    def create(self, seconds: int) -> str:
        """Make the directory of the change, note when its time runs out, and return its path."""
        self.prepare()
        self._forget_ended()
        directory = self.path("new")
        os.mkdir(directory, 0o700)
        write_atomic(os.path.join(directory, "deadline"), f"{_now() + seconds:.3f}".encode(), durable=False)
        return directory

    def _forget_ended(self) -> None:
        """Remove what changes left that ended so long ago that nobody asks for their outcome any more."""
        unsettled = pending_tokens(self.name, os.path.dirname(self.root))
        for entry in os.listdir(self.root):
            path = os.path.join(self.root, entry)
            if entry == "lock" or entry.partition(".")[0] in unsettled:
                continue
            if time.time() - os.lstat(path).st_mtime < _MEMORY:
                continue
            if os.path.isdir(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.unlink(path)

    def prepare(self) -> None:
        """Make the directory of all changes of this name, closed to other users."""
        os.makedirs(self.root, mode=0o700, exist_ok=True)
        os.chmod(self.root, 0o700)

    @property
    def seconds_left(self) -> float:
        """Seconds until the rollback fires; 0 when it is due or unknown."""
        try:
            with open(os.path.join(self.path(self.state or "pending"), "deadline"), encoding="ascii") as handle:
                return max(0.0, float(handle.read()) - _now())
        except (OSError, ValueError):
            return 0.0

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock that the rollback script takes too; a crash frees it.

        :raises TimeoutExpired: somebody else has held it for a minute.
        """
        self.prepare()
        descriptor = os.open(os.path.join(self.root, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            end = _now() + _LOCK_WAIT
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if _now() > end:
                        raise TimeoutExpired(
                            f"Another run has been changing {self.name} for more than {_LOCK_WAIT:g} seconds.",
                            hint=f"See which process holds {self.root}/lock: fuser -v {self.root}/lock",
                        ) from None
                    time.sleep(_POLL)
            yield
        finally:
            os.close(descriptor)


def pending_tokens(name: str, base: str = BASE) -> list[str]:
    """Return the tokens of the changes of this name that are neither confirmed nor rolled back."""
    try:
        entries = sorted(os.listdir(os.path.join(base, name)))
    except FileNotFoundError:
        return []
    return [entry.partition(".")[0] for entry in entries if entry.endswith((".pending", ".confirming"))]
