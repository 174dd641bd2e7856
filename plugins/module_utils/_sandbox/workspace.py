# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The private directory of one run, below /run: what the sandbox is made from, and what is told of its end.

Its name is random and the directory 0700. A run that is killed leaves it; the next run removes it when the time of the
command is over, and the unit itself takes the secrets out of it when it ends (see :mod:`unit`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Workspace", "workspace"]

_ROOM = "/run/scripts-toolkit/sandbox"
_GRACE = 180
"""Seconds after the runtime limit in which a unit has surely ended."""


@dataclass(frozen=True)
class Workspace:
    """Paths in the private directory ``path``; ``token`` is a word that nobody else knows."""

    path: str
    token: str

    def file(self, name: str) -> str:
        return os.path.join(self.path, name)

    def write(self, name: str, data: bytes, mode: int = 0o600) -> str:
        """Write a file that has its mode from its first byte on, and return its path."""
        path = self.file(name)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as handle:
            os.fchmod(handle.fileno(), mode)
            handle.write(data)
        return path


@contextlib.contextmanager
def workspace(runtime: float) -> Iterator[Workspace]:
    """Make the private directory for a command of at most ``runtime`` seconds; remove it in the end."""
    room = _room()
    _sweep(room)
    token = secrets.token_hex(16)
    work = Workspace(tempfile.mkdtemp(prefix="run-", dir=room), token)
    try:
        with open(work.write("until", str(time.time() + runtime + _GRACE).encode()), "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield work
    finally:
        shutil.rmtree(work.path, ignore_errors=True)


def _room() -> str:
    """Return the directory of all runs of this user; below it, only its owner may enter."""
    if os.geteuid() == 0:
        os.makedirs(_ROOM, mode=0o700, exist_ok=True)
        return _ROOM
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    room = os.path.join(base, "scripts-toolkit-sandbox")
    if not os.path.isdir(base):
        room = os.path.join(tempfile.gettempdir(), f"scripts-toolkit-sandbox-{os.geteuid()}")
    os.makedirs(room, mode=0o700, exist_ok=True)
    found = os.lstat(room)
    if found.st_uid != os.geteuid() or found.st_mode & 0o077 or os.path.islink(room):
        raise PermissionError(1, "is not a private directory of this user", room)
    return room


def _sweep(room: str) -> None:
    """Remove what killed runs left, when nobody holds its lock and its command's time is over."""
    for name in os.listdir(room):
        path = os.path.join(room, name)
        try:
            with open(os.path.join(path, "until"), "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if time.time() > float(lock.read() or 0):
                    shutil.rmtree(path, ignore_errors=True)
        except (OSError, ValueError):
            continue
