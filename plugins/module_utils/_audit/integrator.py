# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The integrator: appends finished journals to the one log, once each, whatever dies in between.

Whoever holds the lock does the work of all; whoever does not get it at once goes on, and the holder looks again after
letting go. So no run ever waits for another, not even for one that is stopped.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator

from .._core.files import fsync_directory, read_bytes, remove_file, write_atomic
from .canonical import encode
from .journal import JOURNAL_DIRECTORY, JOURNAL_SUFFIX, finished_journals, make_private_directory

__all__ = ["LOG_NAME", "integrate"]

LOG_NAME = "audit.jsonl"
_LOCK = "integrator.lock"
_INTENT = "integrator.intent"
_END_EVENTS = ("EXECUTION_END",)
_BLOCK = 1 << 20
_LAST_LINE = 1 << 17


def integrate(directory: str, on_run: Callable[[dict], object]) -> list[str]:
    """Append every finished journal under ``directory`` to ``<directory>/audit.jsonl`` and remove it.

    A journal without an end is closed by an ``INTERRUPTED`` record; a torn last line is left out and counted there.
    A journal whose last whole line is no record is set aside as ``<run_id>.damaged``.

    :param on_run: called with the last record of each run before its journal is removed; again after a crash.
    :return: the ids of the runs integrated; none when another process holds the lock.
    :raises OSError: the log can't be written; it is as before then and the journal stays.
    """
    make_private_directory(directory)
    done: list[str] = []
    while True:
        with _lock(directory) as held:
            if not held:
                return done
            done += _integrate_all(directory, on_run)
        # A run that ended while the lock was held left its journal to us: look again.
        if next(finished_journals(directory), None) is None:
            return done


@contextlib.contextmanager
def _lock(directory: str) -> Iterator[bool]:
    descriptor = os.open(os.path.join(directory, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)


def _integrate_all(directory: str, on_run: Callable[[dict], object]) -> list[str]:
    path = os.path.join(directory, LOG_NAME)
    log = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fsync_directory(directory)
        begun = _recover(directory, log)
        done = []
        for run_id, journal in finished_journals(directory, first=begun):
            _integrate_one(directory, log, run_id, journal, on_run)
            done.append(run_id)
        return done
    finally:
        os.close(log)


def _journal_path(directory: str, run_id: str) -> str:
    return os.path.join(directory, JOURNAL_DIRECTORY, run_id + JOURNAL_SUFFIX)


def _recover(directory: str, log: int) -> str:
    """Take back a run that was appended in part: its journal is still there and will be appended again.

    Return its id, or an empty string. It has to come first, since who counts runs knows only the last one it counted.
    """
    data = read_bytes(os.path.join(directory, _INTENT))
    if data is None:
        return ""
    intent = json.loads(data)
    if os.path.exists(_journal_path(directory, intent["run_id"])) and os.fstat(log).st_size > intent["log_size"]:
        os.ftruncate(log, intent["log_size"])
        os.fsync(log)
    remove_file(os.path.join(directory, _INTENT))
    return str(intent["run_id"])


def _integrate_one(directory: str, log: int, run_id: str, journal: int, on_run: Callable[[dict], object]) -> None:
    try:
        whole, end = _last_record(journal)
    except (ValueError, KeyError, TypeError):
        path = _journal_path(directory, run_id)
        os.rename(path, path[: -len(JOURNAL_SUFFIX)] + ".damaged")
        return
    if end is None:
        remove_file(_journal_path(directory, run_id))  # killed before its first line
        return
    size = os.fstat(log).st_size
    intent = os.path.join(directory, _INTENT)
    write_atomic(intent, json.dumps({"run_id": run_id, "log_size": size}).encode("ascii"))
    try:
        if size and os.pread(log, 1, size - 1) != b"\n":
            _write(log, b"\n")  # somebody else's broken last line stays a line of its own
        _copy(journal, log, whole)
        if end["event_type"] not in _END_EVENTS:
            end = _interrupted(end, os.fstat(journal).st_size - whole)
            _write(log, encode(end) + b"\n")
        os.fdatasync(log)
    except OSError:
        os.ftruncate(log, size)
        remove_file(intent)
        raise
    on_run(end)
    remove_file(_journal_path(directory, run_id))
    os.unlink(intent)  # not worth an fsync: a leftover intent without its journal means nothing


def _last_record(journal: int) -> tuple[int, dict | None]:
    """Return the length in bytes of the whole lines and the last of them; ``(0, None)`` when there is none."""
    size = os.fstat(journal).st_size
    start = max(0, size - _LAST_LINE)
    tail = os.pread(journal, size - start, start)
    whole = tail.rfind(b"\n") + 1
    if not whole:
        return 0, None
    line = tail[tail.rfind(b"\n", 0, whole - 1) + 1 : whole]
    record = json.loads(line)
    if record["run_id"] and record["event_type"] and record["timestamp"]:
        return start + whole, record
    raise ValueError("no record")


def _interrupted(last: dict, torn: int) -> dict:
    milliseconds = time.time_ns() // 1_000_000
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000))
    return {
        **last,
        "event_type": "INTERRUPTED",
        "timestamp": f"{stamp}.{milliseconds % 1000:03d}Z",
        "salt": os.urandom(16).hex(),
        "details": {
            "status": "interrupted",
            "last_event": last["event_type"],
            "last_timestamp": last["timestamp"],
            "torn_bytes": torn,
            "found_by_pid": os.getpid(),
        },
    }


def _copy(source: int, target: int, length: int) -> None:
    offset = 0
    while offset < length:
        block = os.pread(source, min(_BLOCK, length - offset), offset)
        if not block:
            raise OSError("the journal became shorter while it was read")
        _write(target, block)
        offset += len(block)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
