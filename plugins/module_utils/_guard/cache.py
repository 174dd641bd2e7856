# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cache of task results that outlives a run: each is computed once, however many processes ask for it at once."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from .._core.errors import IntegrityError, PermissionDenied, TimeoutExpired, UnavailableError, UnsafeError
from .._core.files import fsync_directory, read_bytes
from .._core.outcomes import error_from_os
from .cache_claims import KeyLock
from .cache_encoding import LARGEST, cache_key, decode, encode, storable
from .cache_store import LIMIT, CacheStore

__all__ = ["Claim", "Hit", "ResultCache", "cache_key", "storable"]

_SECRET_BYTES = 32
_SHORTEST_PAUSE = 0.001
_LONGEST_PAUSE = 0.05


@dataclass(frozen=True)
class Hit:
    """A fresh result; ``age`` is for how many seconds it has been kept, ``waited`` how many it took to get it."""

    result: dict
    age: float
    waited: float


class Claim:
    """The right and duty of this process to compute a result. It ends with :meth:`store`, :meth:`release`, the end of
    a ``with`` block, or the process."""

    def __init__(self, lock: KeyLock, put: Callable[[str], bool], largest: int, waited: float) -> None:
        self._lock = lock
        self._put = put
        self._largest = largest
        self.waited = waited

    def store(self, result: Mapping) -> None:
        """Keep the result and give the right back; without that right, nothing happens.

        The result is not kept if results were invalidated since the claim: it may be one of them.

        :raises ValidationError: it can't be kept as it is; see :func:`storable`, which says so before.
        :raises ToolkitError: the cache can't be written, see :class:`Durable`.
        """
        if self._lock.held:
            self._put(encode(result, self._largest))
            self._lock.release()

    def release(self) -> None:
        """Give the right back with nothing to keep: one of those who wait gets it. Twice is harmless."""
        self._lock.release()

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.release()


class ResultCache:
    """The cache in ``directory``, which is made with mode 0700 when it is first used.

    Each thread needs one of its own, and a process that forks others that use the cache closes its own before: SQLite
    remembers locks by process.

    :param now: the time in seconds since 1970.
    :param largest: bytes of the largest result that is kept.
    :param limit: bytes that all results together may have; those that were not used for longest go first.
    """

    def __init__(
        self, directory: str, now: Callable[[], float] = time.time, largest: int = LARGEST, limit: int = LIMIT
    ) -> None:
        self.directory = directory
        self.results = CacheStore(directory, now, limit)
        self._largest = min(largest, limit)
        self._secret = b""

    @property
    def secret(self) -> bytes:
        """32 random bytes for :func:`cache_key`, made with the cache.

        :raises ToolkitError: they can't be made or read.
        """
        if not self._secret:
            with _told():
                self._prepare()
                self._secret = self._read_secret()
        return self._secret

    def claim(self, key: str, ttl: float, wait: float, about: Mapping) -> Hit | Claim:
        """Return a fresh result, or the right to compute it, which nobody else has then.

        While another process computes it, this waits for its result, or for its end without one.

        :param key: from :func:`cache_key`.
        :param ttl: seconds for which a result may be used since it was stored.
        :param wait: seconds to wait at most.
        :param about: ``module``, ``host`` and ``name``, kept with the result for people.
        :raises TimeoutExpired: another process has been computing it for so long.
        :raises ToolkitError: the cache can't be used, see :class:`Durable`.
        """
        with _told():
            self._prepare()
            lock = KeyLock(os.path.join(self.directory, "claims.lock"), key)
            began = time.monotonic()
            pause = _SHORTEST_PAUSE
            while True:
                found, _count = self.results.find(key, ttl)
                waited = time.monotonic() - began
                if found is None and lock.acquire():
                    return self._claimed(lock, key, ttl, about, waited)
                if found is not None:
                    return self._hit(key, *found, waited)
                if waited >= wait:
                    raise TimeoutExpired(
                        f"Another process computes this result and did not end within {wait:g} seconds.",
                        hint="Raise cache.wait, or end that process.",
                    )
                time.sleep(min(pause, wait - waited))
                pause = min(pause * 2, _LONGEST_PAUSE)

    def close(self) -> None:
        """Release the file; the cache can be used again afterwards."""
        self.results.close()

    def _claimed(self, lock: KeyLock, key: str, ttl: float, about: Mapping, waited: float) -> Hit | Claim:
        """Look once more with the lock: its last holder may have stored the result since the last look."""
        try:
            found, count = self.results.find(key, ttl)
        except BaseException:
            lock.release()
            raise
        if found is not None:
            lock.release()
            return self._hit(key, *found, waited)
        return Claim(lock, lambda text: self.results.put(key, text, ttl, about, count), self._largest, waited)

    def _hit(self, key: str, text: str, age: float, waited: float) -> Hit:
        with contextlib.suppress(UnavailableError):  # a result that can't be counted (the disk is full) is one still
            self.results.count_hit(key)
        return Hit(decode(text), age, waited)

    def _prepare(self) -> None:
        """Make the directory, or see that nobody else can put results into it."""
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        found = os.stat(self.directory)
        if found.st_uid not in (0, os.geteuid()) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise UnsafeError(
                f"{self.directory} may be written by other users, who could put results of theirs into the cache.",
                hint="Choose a directory of your own, with mode 0700.",
            )

    def _read_secret(self) -> bytes:
        path = os.path.join(self.directory, "secret")
        found = read_bytes(path)
        if found is None:
            self._make_secret(path)
            found = read_bytes(path) or b""
        if len(found) != _SECRET_BYTES:
            raise IntegrityError(f"{path} is damaged.", hint="Remove it; no result that is kept is found again then.")
        return found

    def _make_secret(self, path: str) -> None:
        """Make the file whole, or leave the one that another process has made meanwhile."""
        descriptor, temporary = tempfile.mkstemp(prefix=".secret.", dir=self.directory)
        try:
            with os.fdopen(descriptor, "wb") as handle:
                handle.write(secrets.token_bytes(_SECRET_BYTES))
                handle.flush()
                os.fsync(handle.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)
        finally:
            os.unlink(temporary)
        fsync_directory(self.directory)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turn what the system says into errors that people understand."""
    try:
        yield
    except OSError as error:
        told = error_from_os(error)
        if isinstance(told, PermissionDenied):  # here become would not help
            told.hint = "Give the user who runs Ansible the right to write it, or choose another directory."
        raise told from error
