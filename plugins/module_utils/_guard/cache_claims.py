# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The right to compute a result: at most one process of a machine has it for a key, and never longer than it lives.

One file with a byte for each key, locked by POSIX record locks: the kernel frees the byte when its holder ends, even by
kill -9, and no child process inherits it. Such locks do not hold between threads of one process and all end when any
descriptor of the file is closed (https://pubs.opengroup.org/onlinepubs/9799919799/functions/fcntl.html), so a process
has one descriptor for a file as long as it holds any byte of it, and notes by itself which.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading

__all__ = ["KeyLock"]

_OFFSET_BITS = 62
"""Of the hash of a key: two keys share a byte, and then only wait for each other, once in 4e18."""

_guard = threading.Lock()
_files: dict[str, tuple[int, set[int]]] = {}
"""By path the descriptor, and the offsets of the bytes that this process holds."""


def _forget() -> None:
    """In a process just forked: it holds nothing, and another thread may have had the guard."""
    global _guard
    _guard = threading.Lock()
    _files.clear()


os.register_at_fork(after_in_child=_forget)


class KeyLock:
    """The lock of one key in the file at ``path``, whose directory must exist."""

    def __init__(self, path: str, key: str) -> None:
        self.path = os.path.realpath(path)
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
        self._offset = int.from_bytes(digest[:8], "big") >> (64 - _OFFSET_BITS)
        self._owner = 0

    @property
    def held(self) -> bool:
        """Whether this process has the lock by this object."""
        return self._owner == os.getpid()

    def acquire(self) -> bool:
        """Take the lock if it is free and return whether that is so; never waits.

        :raises OSError: the file can't be made or opened.
        """
        with _guard:
            descriptor, offsets = _files.get(self.path) or (-1, set())
            if self._offset in offsets:
                return False
            if not offsets:
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._offset)
            except BaseException as error:
                if not offsets:
                    os.close(descriptor)
                if isinstance(error, BlockingIOError):
                    return False
                raise
            offsets.add(self._offset)
            _files[self.path] = (descriptor, offsets)
            self._owner = os.getpid()
        return True

    def release(self) -> None:
        """Give the lock back; without it, nothing happens."""
        if not self.held:
            return
        with _guard:
            self._owner = 0
            descriptor, offsets = _files[self.path]
            offsets.discard(self._offset)
            if offsets:
                fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, self._offset)
            else:
                os.close(descriptor)
                del _files[self.path]
