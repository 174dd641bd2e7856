# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The journal: the file that one run writes and nobody else.

Words as in DESIGN.md: a line is *recorded* when ``write(2)`` has returned (survives kill -9) and *durable* when
``fdatasync(2)`` has returned (survives power loss).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import queue
import threading
from collections.abc import Iterator

from ..._core.errors import UnavailableError
from ..._core.files import fsync_directory

__all__ = [
    "JOURNAL_DIRECTORY",
    "JOURNAL_SUFFIX",
    "JournalSink",
    "finished_journals",
    "make_private_directory",
    "names_of_journals",
    "reading",
]

JOURNAL_DIRECTORY = "journal"
JOURNAL_SUFFIX = ".jsonl"

_SYNC_SHARE = 0.5
"""The part of the interval after which the thread begins to sync; the rest is for the disk."""

# Journals that this process writes, by path: its id and descriptor. Opening such a file once more and closing it would
# end the record lock that shows that the run lives.
_own: dict[str, tuple[int, int]] = {}


def make_private_directory(path: str) -> None:
    """Make the directory ``path`` with its parents, 0700 each, durably; an existing one stays as it is.

    :raises OSError: it can't be made.
    """
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    if parent and parent != path:
        make_private_directory(parent)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
        return
    fsync_directory(parent or ".")


class JournalSink:
    """Appends the lines of one run to ``<directory>/journal/<run_id>.jsonl`` (0600).

    The writer holds a POSIX record lock on the file as its sign of life. Workers that ansible-core forks inherit the
    descriptor but not such a lock, so it is gone when the run is, even by kill -9.

    :param sync_interval: seconds after which a recorded line is made durable by a thread; 0 makes each line durable
        before :meth:`write` returns.
    :raises OSError: the directory or file can't be made.
    """

    def __init__(self, directory: str, run_id: str, sync_interval: float = 0.2) -> None:
        folder = os.path.join(directory, JOURNAL_DIRECTORY)
        make_private_directory(folder)
        self.path = os.path.join(folder, run_id + JOURNAL_SUFFIX)
        self.syncs = 0
        self._interval = sync_interval
        hidden = os.path.join(folder, f".{run_id}.new")
        self._descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        # Locked before it has its name: an integrator never meets a journal of a living run without its lock.
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(hidden, self.path)
        fsync_directory(folder)
        self._key = os.path.realpath(self.path)
        _own[self._key] = (os.getpid(), self._descriptor)
        self._pending = False  # whether something is not durable yet
        self._timed = False  # whether the thread will make it so at the end of an interval that has begun
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()  # no Python in it: see Recorder.record_all
        self._closing = threading.Event()
        self._guard = threading.RLock()  # a signal handler may record the end while the main thread syncs
        self._thread: threading.Thread | None = None

    def write(self, line: bytes) -> None:
        """Append ``line``, which ends with a newline; it is recorded on return.

        :raises OSError: it could not be written; what was written of it has been removed, or will be torn off by the
            reader because it has no newline.
        """
        try:
            written = os.write(self._descriptor, line)
            if written != len(line):
                os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
                raise OSError(errno.ENOSPC, "the disk is full")
        except OSError as error:
            error.filename = self.path
            raise
        self._pending = True
        if self._timed:
            return
        if self._interval <= 0:
            self.sync()
            return
        self._begin_interval()
        if self._thread is None:
            self._thread = threading.Thread(target=self._sync_in_time, name="scripts-toolkit-audit", daemon=True)
            self._thread.start()

    def _begin_interval(self) -> None:
        self._timed = True
        self._wake.put(None)

    def sync(self) -> None:
        """Make every recorded line durable."""
        with self._guard:  # what the thread is about to make durable has to be waited for too
            if not self._pending:
                return
            # What is written from here on sets it again, or is made durable by what follows.
            self._pending = False
            try:
                os.fdatasync(self._descriptor)
            except OSError:
                self._pending = True
                raise
            self.syncs += 1

    def close(self) -> None:
        """Make everything durable and give the journal up for the integrator."""
        self._closing.set()
        self._wake.put(None)
        if self._thread is not None:
            self._thread.join()
        with self._guard:
            if self._descriptor >= 0:
                if self._pending:
                    os.fdatasync(self._descriptor)
                _own.pop(self._key, None)
                os.close(self._descriptor)
                self._descriptor = -1

    def _sync_in_time(self) -> None:
        while not self._closing.is_set():
            self._wake.get()
            if self._closing.wait(self._interval * _SYNC_SHARE):
                return
            self._timed = False  # before the sync: what is written during it begins a new interval
            try:
                self.sync()
            except OSError:  # the main thread's next sync meets the same error and reports it
                self._begin_interval()


def names_of_journals(directory: str) -> list[str]:
    """Return the run ids of the journals under ``directory``, oldest first."""
    try:
        names = os.listdir(os.path.join(directory, JOURNAL_DIRECTORY))
    except FileNotFoundError:
        return []
    whole = (name for name in names if name.endswith(JOURNAL_SUFFIX) and not name.startswith("."))
    return sorted(name[: -len(JOURNAL_SUFFIX)] for name in whole)


def _own_descriptor(path: str) -> int | None:
    pid, descriptor = _own.get(os.path.realpath(path), (0, -1))
    return descriptor if pid == os.getpid() else None


@contextlib.contextmanager
def reading(directory: str, run_id: str) -> Iterator[int | None]:
    """Give a descriptor for ``os.pread`` of a journal, also of one that this process writes; None if there is none."""
    path = os.path.join(directory, JOURNAL_DIRECTORY, run_id + JOURNAL_SUFFIX)
    own = _own_descriptor(path)
    if own is not None:
        yield own
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def finished_journals(directory: str, first: str = "") -> Iterator[tuple[str, int]]:
    """Yield ``(run_id, descriptor)`` of every journal whose writer is gone: that of ``first``, then oldest first.

    The descriptor is open for reading and closed when the next one is asked for.
    """
    for run_id in sorted(names_of_journals(directory), key=lambda name: (name != first, name)):
        path = os.path.join(directory, JOURNAL_DIRECTORY, run_id + JOURNAL_SUFFIX)
        if _own_descriptor(path) is not None:
            continue
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UnavailableError(f"The journal {path} can't be read: {error.strerror}.") from error
        try:
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue  # its run lives
            yield run_id, descriptor
        finally:
            os.close(descriptor)
