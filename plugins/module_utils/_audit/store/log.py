# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The log: all entries of one user and controller in the order in which they were taken in.

One process at a time holds it. What it appends counts from the moment in which :meth:`Log.commit` has replaced the
state (see ``state``); the tree and the signed checkpoint are derived from that and made again where they are missing.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from ..._core.errors import InternalError, TimeoutExpired
from ..._core.files import fsync_directory, read_bytes
from ..record.recorder import MAX_LINE, Identity, Recorder
from . import recovery
from .journal import JOURNAL_DIRECTORY, JOURNAL_SUFFIX, make_private_directory
from .lock import LogLock
from .seal import Seal
from .segments import BORDER, SegmentWriter, segment_path
from .state import (
    LOG_NAME,
    discard_hidden,
    hidden_path,
    load_state,
    publish_hidden,
    store_state,
    visible_path,
)

__all__ = ["LOG_NAME", "OWN_SCRIPT", "SEGMENT_BYTES", "SETTINGS_NAME", "Log", "settings_of"]

SETTINGS_NAME = "settings.json"
"""The options with which the last run recorded."""

SEGMENT_BYTES = 100_000_000
"""Bytes after which a segment is closed, if the settings say nothing else."""

OWN_SCRIPT = "(audit log)"
"""Stands for the playbook in events of the log's own, whose ``run_id`` is empty."""

_CHUNK = 4 << 20
_SEALED_AT_ONCE = 1 << 12
_POLL = 0.05


def settings_of(directory: str) -> dict:
    """Return the options of the last run, empty where there are none that can be read."""
    try:
        found = json.loads(read_bytes(os.path.join(directory, SETTINGS_NAME)) or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class _Lines:
    """A sink that keeps lines."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def write(self, line: bytes) -> None:
        self.lines.append(line)

    def sync(self) -> None:
        """Nothing to do: the log commits."""

    close = sync


class Log:
    """The log in ``directory``, under its lock. Use it as a context manager: leaving it commits and signs, an exception
    takes back what is not committed.

    :param warn: called with a sentence about what does not stop the log, such as a missing library.
    """

    def __init__(self, directory: str, lock: LogLock, warn: Callable[[str], object] | None = None) -> None:
        self.directory = directory
        self.warn = warn or (lambda _text: None)
        settings = settings_of(directory)
        self.segment_bytes = _number(settings.get("segment_bytes")) or SEGMENT_BYTES
        self.segment_age = _number(settings.get("segment_age"))
        self.uncommitted = 0
        self._lock = lock
        self._replacing = False
        self._recorder: Recorder | None = None
        self._sink = _Lines()
        self.descriptor = -1
        self.state = recovery.committed_state(directory)
        self.descriptor = recovery.open_active(directory, self.state)
        try:
            self._begin()
        except BaseException:
            os.close(self.descriptor)
            raise

    def _begin(self) -> None:
        """Load the tree and append what is owed: repairs, and events about keys."""
        directory = self.directory
        self._seal = Seal(directory, self.state, self.descriptor, self.warn)
        for journal in [run_id for run_id in self.state.journals if not os.path.exists(self.journal_path(run_id))]:
            del self.state.journals[journal]
        for details in self.state.repairs:
            self.append_event("LOG_REPAIRED", details)
        self.state.repairs = []
        for event_type, details in self._seal.events:
            self.append_event(event_type, details)

    @classmethod
    def attempt(cls, directory: str, warn: Callable[[str], object] | None = None) -> Log | None:
        """Return the log, repaired where a crash left something; ``None`` when somebody else holds it.

        :raises OSError: it can't be opened or repaired.
        """
        make_private_directory(directory)
        lock = LogLock(directory)
        if not lock.acquire():
            return None
        try:
            return cls(directory, lock, warn)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def wait(cls, directory: str, seconds: float = 60.0, warn: Callable[[str], object] | None = None) -> Log:
        """Return the log as soon as nobody else holds it. For commands; a run uses :meth:`attempt`.

        :raises TimeoutExpired: somebody held it for so many seconds.
        """
        end = time.monotonic() + seconds
        while True:
            log = cls.attempt(directory, warn)
            if log is not None:
                return log
            if time.monotonic() >= end:
                pid = LogLock(directory).holder()
                raise TimeoutExpired(
                    f"The log in {directory} is held by process {pid or 'unknown'}.",
                    hint="Wait for it, or look why it is stuck.",
                )
            time.sleep(_POLL)

    def __enter__(self) -> Log:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    @property
    def entries(self) -> int:
        """How many entries the log has, with those not committed; the index of the next one."""
        return self.state.entries

    @property
    def next_generation(self) -> int:
        """The generation under which files must be hidden that the next commit makes valid."""
        return self.state.generation + 1

    def journal_path(self, run_id: str) -> str:
        """Return where the journal of a run lies."""
        return os.path.join(self.directory, JOURNAL_DIRECTORY, run_id + JOURNAL_SUFFIX)

    def append(self, data: bytes) -> None:
        """Append whole lines, each with its newline. They count when they are committed.

        :raises OSError: they can't be written; leave the log then.
        """
        if data[-1:] != b"\n":
            raise InternalError("Only whole lines can be appended to the log.")
        lines = data[:-1].split(b"\n")
        view = memoryview(data)
        while view:
            view = view[os.write(self.descriptor, view) :]
        if not self.state.bytes:
            self.state.began = int(time.time())
        self._seal.note(self.state.entries, lines)
        self.state.bytes += len(data)
        self.state.entries += len(lines)
        self.uncommitted += len(data)

    def append_event(self, event_type: str, details: dict) -> int:
        """Append an event of the log's own and return its index. Its ``run_id`` is empty."""
        if self._recorder is None:
            identity = replace(Identity.of_this_process(os.path.basename(sys.argv[0] or "python")), run_id="")
            self._recorder = Recorder(identity, OWN_SCRIPT, self._sink)
        self._recorder.record(event_type, details, limit=MAX_LINE)
        index = self.state.entries
        self.append(self._sink.lines.pop())
        return index

    def commit_if_large(self) -> None:
        """Commit when so much was appended that memory and the time of a repair would grow."""
        if self.uncommitted >= _CHUNK:
            self.commit()

    def commit(self) -> None:
        """Make everything that was appended count, durably, and close the segment where it is due.

        :raises OSError: it may or may not have happened; leave the log, the next one to open it knows.
        """
        self._commit()
        if self._due():
            self.rotate()

    def _commit(self) -> None:
        os.fdatasync(self.descriptor)
        self.state.began = min(self.state.began, int(time.time()))  # a clock that was set back must not keep it open
        if self._replacing:
            self.state.generation += 1
        store_state(self.directory, self.state)
        if self._replacing:
            self._replacing = False
            publish_hidden(self.directory, self.state.generation)
        self.uncommitted = 0
        if self._seal.noted >= _SEALED_AT_ONCE:
            self._seal.take()

    def _due(self) -> bool:
        if self.state.entries - self.state.entries % BORDER <= self.state.first:
            return False
        old = bool(self.segment_age) and time.time() - self.state.began >= self.segment_age
        return old or self.state.bytes >= self.segment_bytes

    def rotate(self) -> bool:
        """Close the active segment at the last border and commit; return whether there was a border in it.

        What was appended must be committed. The closed segment is compressed; the new one begins with the entries after
        the border, among them the SEGMENT_CLOSED event with the hashes of the closed one.
        """
        first = self.state.first
        border = self.state.entries - self.state.entries % BORDER
        if border <= first:
            return False
        cut = _start_of_last(self.descriptor, self.state.bytes, self.state.entries - border)
        writer = SegmentWriter(segment_path(self.directory, first), self.next_generation)
        for data in _copied(self.descriptor, 0, cut):
            writer.write_bytes(data, data.count(b"\n"))
        told = writer.close()
        self.replace_active(border, _copied(self.descriptor, cut, self.state.bytes))
        self.state.began = int(time.time())
        self.append_event("SEGMENT_CLOSED", {"first": first, **told})
        self._commit()
        return True

    def replace_active(self, first: int, content: Iterable[bytes]) -> None:
        """Continue in a new file for the active segment, which begins with entry ``first`` and holds ``content``, the
        lines up to the newest entry. It becomes valid with the next commit."""
        path = hidden_path(os.path.join(self.directory, LOG_NAME), self.next_generation)
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o600)
        size = 0
        try:
            for data in content:
                view = memoryview(data)
                while view:
                    written = os.write(descriptor, view)
                    size += written
                    view = view[written:]
            fsync_directory(self.directory)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(self.descriptor)
        self.descriptor = descriptor
        self.state.first, self.state.bytes = first, size
        self._replacing = True

    def replace_files(self) -> None:
        """Say that closed segments wait under :attr:`next_generation` for the next commit."""
        self._replacing = True

    @property
    def covered(self) -> int:
        """How many entries the newest checkpoint covers."""
        return self._seal.covered

    def seal(self) -> None:
        """Bring tree and checkpoint up to what is committed; trouble is told by ``warn``, as nothing is lost by it."""
        self._seal.finish()

    def close(self) -> None:
        """Commit, sign and release the lock; nothing after :meth:`abandon`."""
        if self.descriptor < 0:
            return
        try:
            if self.uncommitted or self._replacing:
                self.commit()
            elif self._due():
                self.rotate()
            self.seal()
        except BaseException:
            self.abandon()
            raise
        self._release()

    def abandon(self) -> None:
        """Take back what is not committed and release the lock."""
        try:
            with contextlib.suppress(OSError):
                state = load_state(self.directory)
                if state is not None:
                    discard_hidden(self.directory, state.generation)
                    path = visible_path(os.path.join(self.directory, LOG_NAME), state.generation)
                    if os.path.getsize(path) > state.bytes:
                        os.truncate(path, state.bytes)
        finally:
            self._release()

    def _release(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
        self._lock.release()


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0 else 0


def _copied(descriptor: int, offset: int, end: int) -> Iterable[bytes]:
    while offset < end:
        data = os.pread(descriptor, min(1 << 20, end - offset), offset)
        if not data:
            raise OSError("the log became shorter while it was read")
        yield data
        offset += len(data)


def _start_of_last(descriptor: int, size: int, count: int) -> int:
    """Return the offset at which the last ``count`` lines of the first ``size`` bytes begin."""
    end = size - 1  # the newline of the last line
    if not count:
        return size
    while end > 0:
        start = max(0, end - (1 << 20))
        data = os.pread(descriptor, end - start, start)
        at = len(data)
        while count:
            at = data.rfind(b"\n", 0, at)
            if at < 0:
                break
            count -= 1
        if not count:
            return start + at + 1
        end = start
    return 0
