# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Import: journals and logs of containers and other machines become entries of this log.

The source is not trusted. Each line must be a record in canonical form; records that a log writes about itself are left
out, since they steer how a log is verified. A run that is in the log already is continued only where the source has the
very same lines before, so importing twice adds nothing and nobody slips events into somebody else's run.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ..._core.errors import ConflictError, IntegrityError, NotFoundError, UnsafeError
from ..record.canonical import SAFE_INTEGER, encode
from ..record.recorder import MAX_LINE
from . import blobs
from .journal import JOURNAL_DIRECTORY
from .log import LOG_NAME, Log
from .recovery import OWN_EVENTS
from .segments import blocks, read_segment
from .state import SEGMENT_DIRECTORY

__all__ = ["import_journals", "sources_of"]

_BLOCK = 1 << 20
_RUN_ID = b'"run_id":"'
_PATTERNS = {
    "run_id": re.compile(r"[0-9A-Za-z._-]{1,64}"),
    "event_type": re.compile(r"[A-Z][A-Z0-9_]{0,63}"),
    "timestamp": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII),
    "salt": re.compile(r"[0-9a-f]{32}"),
}
_TEXTS = ("hostname", "script", "user")


@dataclass
class _Run:
    """How far the log has a run: the number of its lines, and a digest over them."""

    lines: int = 0
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def add(self, line: bytes) -> None:
        self.lines += 1
        self.digest.update(line + b"\n")


@dataclass
class _Told:
    """What is told of one source."""

    entries: int = 0
    known: int = 0
    own: int = 0
    damaged: int = 0
    torn_bytes: int = 0
    bytes: int = 0
    runs: set = field(default_factory=set)
    hostnames: set = field(default_factory=set)


def sources_of(path: str) -> list[list[str]]:
    """Return the files to import from ``path``: itself, or of a directory its segments, its log and its journals.

    :return: lists of files; those in one list continue each other, as the segments of a log do.
    :raises NotFoundError: there is nothing of that.
    """
    if not os.path.isdir(path):
        return [[path]]

    def inside(folder: str) -> list[str]:
        try:
            names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [os.path.join(folder, name) for name in names if name.endswith((".jsonl", ".jsonl.gz"))]

    active = os.path.join(path, LOG_NAME)
    log = inside(os.path.join(path, SEGMENT_DIRECTORY)) + [active] * os.path.exists(active)
    alone = [name for name in inside(path) + inside(os.path.join(path, JOURNAL_DIRECTORY)) if name != active]
    if not log and not alone:
        raise NotFoundError(
            f"{path} holds nothing to import.", hint=f"Name a journal, or a directory with {LOG_NAME} or journal/."
        )
    return [log] * bool(log) + [[name] for name in alone]


def import_journals(
    directory: str,
    paths: list[str],
    skip_damaged: bool = False,
    warn: Callable[[str], object] | None = None,
    wait: float = 60.0,
    progress: Callable[[str], object] | None = None,
) -> list[dict]:
    """Import sources into the log of ``directory``, each as a whole or not at all.

    :param paths: files and directories; see :func:`sources_of`.
    :param skip_damaged: leave out lines that are no records instead of refusing their source.
    :param wait: seconds to wait for the log.
    :param progress: called with each source before it is read.
    :return: for each source ``source``, ``sha256``, ``bytes``, ``entries`` (added), ``known`` (were there before),
        ``own_events`` and ``damaged`` (left out), ``torn_bytes``, ``runs``,
        ``hostnames``, ``blobs`` (taken over).
    :raises NotFoundError: a source does not exist.
    :raises UnsafeError: a source is no regular file, or is part of this log.
    :raises IntegrityError: a line is no record; the message names it.
    :raises ConflictError: a run is in the log with other lines.
    """
    streams = [files for path in paths for files in sources_of(path)]
    here = os.path.realpath(directory)
    for name in (name for files in streams for name in files):
        if os.path.commonpath([here, os.path.realpath(name)]) == here:
            raise UnsafeError(f"{name} is part of this log.", hint="toolkit audit integrate takes its journals in.")
    results = []
    with Log.wait(directory, wait, warn) as log:
        log.commit()
        known = _known_runs(directory)
        for files in streams:
            runs: dict[str, _Run] = {}
            for name in files:
                if progress is not None:
                    progress(name)
                results.append(_import_one(log, name, known, runs, skip_damaged))
    return results


def _known_runs(directory: str) -> dict[str, _Run]:
    """Return how far the log has each run. Memory grows with the runs, not with the entries."""
    runs: dict[str, _Run] = {}
    for _first, lines in blocks(directory, on_gap=lambda _first, _stop: None):
        for line in lines:
            run_id = _run_id(line)
            if run_id:
                runs.setdefault(run_id, _Run()).add(line)
    return runs


def _run_id(line: bytes) -> str:
    """Return the run id of a canonical line; quotes inside of values are escaped, and details come before."""
    start = line.rfind(_RUN_ID) + len(_RUN_ID)
    return line[start : line.find(b'"', start)].decode("utf-8", "replace") if start >= len(_RUN_ID) else ""


def _import_one(log: Log, path: str, known: dict[str, _Run], runs: dict[str, _Run], skip_damaged: bool) -> dict:
    """Import one file.

    :param known: how far the log has each run; brought up to date.
    :param runs: how far the files before this one had them; brought up to date.
    """
    told = _Told()
    packed = hashlib.sha256()
    first = log.entries + 1  # after the record of the import itself
    added: list[bytes] = []
    spool = _Spool(log.directory)
    blob_folder, known_blobs = _blobs_beside(path)
    named: set[str] = set()
    try:
        for number, line in enumerate(_lines(path, packed, told), 1):
            try:
                record = _checked(line)
            except ValueError as error:
                if not skip_damaged:
                    raise IntegrityError(
                        f"Line {number} of {path} is no record of an audit trail: {error}.",
                        hint="Nothing of it was imported; with --skip-damaged all other lines are.",
                        item=path,
                    ) from None
                told.damaged += 1
                continue
            if record["event_type"] in OWN_EVENTS:
                told.own += 1
                continue
            run_id = record["run_id"]
            run = runs.setdefault(run_id, _Run())
            there = known.get(run_id)
            if there is not None and run.lines < there.lines:
                run.add(line)
                told.known += 1
                if run.lines == there.lines and run.digest.digest() != there.digest.digest():
                    raise ConflictError(
                        f"The run {run_id} of {path} is in the log already, but with other entries.",
                        hint="Its entries were erased or pruned, or one of the two is forged.",
                        item=path,
                    )
                continue
            run.add(line)
            told.entries += 1
            told.runs.add(run_id)
            told.hostnames.add(record["hostname"][:64])
            named |= blobs.named_in(line, known_blobs)
            added.append(line)
            if len(added) >= 1024:
                spool.write(added)
                added.clear()
        spool.write(added)
        details = {
            "source": os.path.abspath(path),
            "sha256": packed.hexdigest(),
            "bytes": told.bytes,
            "first": first,
            "entries": told.entries,
            "known": told.known,
            "own_events": told.own,
            "damaged": told.damaged,
            "torn_bytes": told.torn_bytes,
            "runs": len(told.runs),
            "hostnames": sorted(told.hostnames)[:16],
        }
        details["blobs"] = sum(blobs.adopt(log.directory, blob_folder, name) for name in sorted(named))
        if told.entries:
            log.append_event("JOURNAL_IMPORTED", details)
            for data in spool.blocks():
                log.append(data)
            log.commit()
            known.update({run_id: run for run_id, run in runs.items() if run_id in told.runs})
    finally:
        spool.close()
    return details


def _blobs_beside(path: str) -> tuple[str, set[str]]:
    """Return the directory and the names of the side blobs that belong to a journal, segment or log."""
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.basename(folder) in (SEGMENT_DIRECTORY, JOURNAL_DIRECTORY):
        folder = os.path.dirname(folder)
    return os.path.join(folder, blobs.BLOB_DIRECTORY), blobs.names(folder)


class _Spool:
    """Holds lines until their source was read to its end: in a file without a name, private from the start."""

    def __init__(self, directory: str) -> None:
        flags = os.O_RDWR | os.O_CLOEXEC
        try:
            self._descriptor = os.open(directory, flags | os.O_TMPFILE, 0o600)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
                raise
            hidden = os.path.join(directory, ".import.new")  # a file system without nameless files
            self._descriptor = os.open(hidden, flags | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            os.unlink(hidden)
        self._size = 0

    def write(self, lines: list[bytes]) -> None:
        data = memoryview(b"".join(line + b"\n" for line in lines))
        while data:
            written = os.write(self._descriptor, data)
            self._size += written
            data = data[written:]

    def blocks(self) -> Iterator[bytes]:
        """Yield whole lines in blocks."""
        offset, rest = 0, b""
        while offset < self._size:
            data = os.pread(self._descriptor, _BLOCK, offset)
            offset += len(data)
            data = rest + data
            end = data.rfind(b"\n") + 1
            rest = data[end:]
            if end:
                yield data[:end]

    def close(self) -> None:
        os.close(self._descriptor)


def _lines(path: str, digest: hashlib._Hash, told: _Told) -> Iterator[bytes]:
    """Yield the whole lines of a source, which may be compressed, and hash the file on the way."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise NotFoundError(f"There is no {path}.") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UnsafeError(f"{path} is a symbolic link.", hint="Name what it points to.") from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnsafeError(f"{path} is not a regular file.")

    def seen(data: bytes) -> None:
        digest.update(data)
        told.bytes += len(data)

    rest = b""
    for data in read_segment(descriptor, path, path.endswith(".gz"), seen):
        lines = (rest + data).split(b"\n")
        rest = lines.pop()
        if len(rest) > _BLOCK:
            raise IntegrityError(f"{path} has a line of more than {_BLOCK} bytes.", item=path)
        yield from lines
    told.torn_bytes = len(rest)


def _refuse(_text: str) -> float:
    raise ValueError


def _integer(text: str) -> int:
    number = int(text)
    if abs(number) > SAFE_INTEGER:
        raise ValueError
    return number


_decode = json.JSONDecoder(parse_float=_refuse, parse_int=_integer, parse_constant=_refuse).decode


def _checked(line: bytes) -> dict:
    """Return the record of a line.

    :raises ValueError: it is none; the text says why, without anything of the line.
    """
    if len(line) > MAX_LINE:
        raise ValueError(f"it has more than {MAX_LINE} bytes")
    try:
        record = _decode(line.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON of the canonical form") from None
    if not isinstance(record, dict):
        raise ValueError("it is not an object")
    if record.get("event_type") in OWN_EVENTS:
        return record
    for name, pattern in _PATTERNS.items():
        if not isinstance(record.get(name), str) or not pattern.fullmatch(record[name]):
            raise ValueError(f"its {name} is missing or misspelled")
    for name in _TEXTS:
        if not isinstance(record.get(name), str):
            raise ValueError(f"its {name} is missing or no text")
    if not isinstance(record.get("details"), dict):
        raise ValueError("its details are missing")
    try:
        same = encode(record) == line
    except RecursionError:
        same = False
    if not same:
        raise ValueError("it is not in canonical form")
    return record
