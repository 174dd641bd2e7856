# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The integrator: takes journals into the one log, each line once, whatever dies in between.

Whoever holds the log does the work of all; whoever does not get it at once goes on, and the holder looks again after
letting go. So no run ever waits for another, not even for one that is stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable

from ..._core.files import remove_file
from ..record.canonical import encode
from .journal import JOURNAL_SUFFIX, finished_journals, reading
from .log import LOG_NAME, Log

__all__ = ["LOG_NAME", "integrate", "integrate_living"]

_END_EVENTS = ("EXECUTION_END",)
_BLOCK = 1 << 20
_LAST_LINE = 1 << 17
_MOST_AT_ONCE = 64


def integrate(
    directory: str, on_run: Callable[[dict], object], warn: Callable[[str], object] | None = None
) -> list[str]:
    """Take every finished journal under ``directory`` into the log, remove it, and sign the log.

    A journal without an end is closed by an ``INTERRUPTED`` record; a torn last line is left out and counted there.
    What can't be read as records is set aside as ``<run_id>.damaged``.

    :param on_run: called with the last record of each run before its journal is removed; again after a crash.
    :param warn: called with a sentence where the log can't be signed.
    :return: the ids of the runs that ended and are in the log now; none when another process holds the log.
    :raises OSError: the log can't be written; it is as before then and the journal stays.
    """
    done: list[str] = []
    told: set[str] = set()

    def once(text: str) -> None:
        if warn is not None and text not in told:
            told.add(text)
            warn(text)

    while True:
        log = Log.attempt(directory, once)
        if log is None:
            return done
        with log:
            _settle_ended(log, on_run, done)
            while _take_finished(log):
                _settle_ended(log, on_run, done)
        # A run that ended while the log was held left its journal to us: look again.
        if next(finished_journals(directory), None) is None:
            return done


def integrate_living(directory: str, run_id: str, warn: Callable[[str], object] | None = None) -> int:
    """Take what a living run has recorded so far into the log and sign it; for the run itself, from its main thread.

    Never waits. A segment is closed here only at twice its size, so that a run rarely pays for compressing it.

    :return: how many entries were taken in; 0 when another process holds the log.
    :raises OSError: the log can't be written; the journal stays and is taken in later.
    """
    log = Log.attempt(directory, warn)
    if log is None:
        return 0
    with log:
        log.segment_bytes *= 2
        log.segment_age = 0
        before = log.entries
        with reading(directory, run_id) as journal:
            if journal is not None:
                _take_lines(log, run_id, journal)
        return log.entries - before


def _take_finished(log: Log) -> bool:
    """Take in some finished journals, commit, and return whether there were any."""
    taken = 0
    for run_id, journal in finished_journals(log.directory):
        _take(log, run_id, journal)
        taken += 1
        if taken == _MOST_AT_ONCE or log.uncommitted > _BLOCK:
            break
    if log.uncommitted or taken:
        log.commit()
    return taken > 0


def _settle_ended(log: Log, on_run: Callable[[dict], object], done: list[str]) -> None:
    """Tell of the runs that are in the log as a whole and remove their journals, oldest first.

    One at a time and durably: after a crash at most the first of those left was told of already.
    """
    for run_id in [run_id for run_id, taken in log.state.journals.items() if taken.get("ended")]:
        end = log.state.journals[run_id].get("end")
        path = log.journal_path(run_id)
        if end is None:
            with reading(log.directory, run_id) as journal:
                end = _record(_line_before(journal, log.state.journals[run_id]["offset"])) if journal else None
        if end is not None:
            on_run(end)
        remove_file(path)
        del log.state.journals[run_id]
        done.append(run_id)


def _take(log: Log, run_id: str, journal: int) -> None:
    """Take in the rest of a journal whose run is gone and close the run."""
    size = os.fstat(journal).st_size
    known = log.state.journals.get(run_id)
    if known is not None and known.get("ended"):
        return
    whole = _take_lines(log, run_id, journal)
    offset = log.state.journals[run_id]["offset"]
    if not offset and not whole:
        del log.state.journals[run_id]
        remove_file(log.journal_path(run_id))  # killed before its first line
        return
    if offset < whole:
        _set_aside(log, run_id, journal, offset, size)
    taken = log.state.journals[run_id]
    taken["ended"] = True
    end = _record(_line_before(journal, offset))
    if end is None or end["event_type"] not in _END_EVENTS:
        taken["end"] = _interrupted(end or {"run_id": run_id}, size - offset)
        log.append(encode(taken["end"]) + b"\n")


def _take_lines(log: Log, run_id: str, journal: int) -> int:
    """Append the whole lines of a journal that the log does not have yet, up to the first that is no record.

    :return: the bytes of the whole lines in the journal; more than the new offset where something is no record.
    """
    taken = log.state.journals.setdefault(run_id, {"offset": 0})
    size = os.fstat(journal).st_size
    tail = os.pread(journal, min(_LAST_LINE, size), max(0, size - _LAST_LINE))
    whole = max(0, size - _LAST_LINE) + tail.rfind(b"\n") + 1
    while taken["offset"] < whole:
        data = os.pread(journal, min(_BLOCK, whole - taken["offset"]), taken["offset"])
        data = data[: data.rfind(b"\n") + 1]
        good = _good(data)
        if good:
            log.append(data[:good])
            taken["offset"] += good
            log.commit_if_large()
        if not data or good < len(data):
            break
    return whole


def _good(data: bytes) -> int:
    """Return the bytes of the lines at the beginning that look like records."""
    lines = data[:-1].split(b"\n")
    if b"\0" not in data and all(map(_looks_whole, lines)):
        return len(data)
    length = 0
    for line in lines:
        if b"\0" in line or not _looks_whole(line) or _record(line) is None:
            break
        length += len(line) + 1
    return length


def _looks_whole(line: bytes) -> bool:
    return line[:2] == b'{"' and line[-1:] == b"}" and b'"event_type":"' in line and line[:9] != b'{"erased"'


def _record(line: bytes) -> dict | None:
    try:
        record = json.loads(line)
        return record if record["run_id"] and record["event_type"] and record["timestamp"] else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _line_before(journal: int, offset: int) -> bytes:
    """Return the line that ends at ``offset``, without its newline."""
    start = max(0, offset - _LAST_LINE)
    data = os.pread(journal, offset - start, start)[:-1]
    return data[data.rfind(b"\n") + 1 :]


def _set_aside(log: Log, run_id: str, journal: int, offset: int, size: int) -> None:
    """Keep what is no record beside the journal, durably, and record that."""
    path = log.journal_path(run_id)[: -len(JOURNAL_SUFFIX)] + ".damaged"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    digest = hashlib.sha256()
    try:
        position = offset
        while position < size:
            data = os.pread(journal, min(_BLOCK, size - position), position)
            digest.update(data)
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            position += len(data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    details = {"repair": "journal", "journal": run_id, "bytes": size - offset, "sha256": digest.hexdigest()}
    log.append_event("LOG_REPAIRED", {**details, "kept": [os.path.relpath(path, log.directory)]})


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
            "last_event": last.get("event_type"),
            "last_timestamp": last.get("timestamp"),
            "torn_bytes": torn,
            "found_by_pid": os.getpid(),
        },
    }
