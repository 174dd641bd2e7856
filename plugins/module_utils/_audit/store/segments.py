# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Segments: the files that hold the entries of the log, read one block at a time and written with their hashes.

Reading needs no lock: it goes by the committed state, and what a writer does meanwhile never changes the bytes of a
file that is open here.
"""

from __future__ import annotations

import hashlib
import os
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ..._core.errors import IntegrityError
from ..._core.files import fsync_directory
from .journal import make_private_directory
from .state import LOG_NAME, SEGMENT_DIRECTORY, State, hidden_path, load_state, visible_path

__all__ = [
    "BORDER",
    "Segment",
    "SegmentWriter",
    "blocks",
    "entries",
    "hash_segment",
    "ranges",
    "read_segment",
    "segment_path",
]

BORDER = 256
"""Segments begin and pruning ends at multiples of this index, the width of a tile."""

_BLOCK = 1 << 20
_LONGEST = 1 << 24
_LEVEL = 3  # twice as fast as 4 for a tenth more bytes: a run may wait for it
_TRIES = 8
_NAME = re.compile(r"(\d{20})\.jsonl\.gz", re.ASCII)


class Segment(NamedTuple):
    """A file with the entries ``first`` to before ``stop``; ``size`` are its bytes that count."""

    first: int
    stop: int
    path: str
    active: bool
    size: int


def segment_path(directory: str, first: int) -> str:
    """Return the path of the closed segment that begins with entry ``first``."""
    return os.path.join(directory, SEGMENT_DIRECTORY, f"{first:020d}.jsonl.gz")


def ranges(directory: str) -> list[Segment]:
    """Return the segments in order, the active one last. ``stop`` of a closed one is where the next begins.

    :raises IntegrityError: the files change all the time.
    """
    for _attempt in range(_TRIES):
        state = _state(directory)
        starts = _closed(directory, state)
        found = []
        try:
            for first, stop in zip(starts, [*starts[1:], state.first]):
                path = visible_path(segment_path(directory, first), state.generation)
                found.append(Segment(first, stop, path, False, os.path.getsize(path)))
        except FileNotFoundError:
            continue  # renamed or pruned between looking and opening
        path = visible_path(os.path.join(directory, LOG_NAME), state.generation)
        return [*found, Segment(state.first, state.entries, path, True, state.bytes)]
    raise IntegrityError(f"The segments in {directory} change while they are looked at.", hint="Try again.")


def _closed(directory: str, state: State) -> list[int]:
    """Return where the closed segments begin, without what was pruned or not committed."""
    try:
        names = os.listdir(os.path.join(directory, SEGMENT_DIRECTORY))
    except FileNotFoundError:
        return []
    mark = f".{state.generation}"
    names += [name[1 : -len(mark)] for name in names if name.startswith(".") and name.endswith(mark)]
    starts = sorted({int(found[1]) for found in map(_NAME.fullmatch, names) if found})
    return [first for first in starts if state.minimum <= first < state.first]


def _state(directory: str) -> State:
    """Return the committed state, or what can be seen of a log that has none: of an older version, or a copy."""
    state = load_state(directory)
    if state is not None:
        return state
    state = State()
    for first in _closed(directory, State(first=1 << 62)):
        state.first = first
        for _index, lines in _lines_of(_gzip_blocks(segment_path(directory, first)), first):
            state.first += len(lines)
    state.entries = state.first
    try:
        descriptor = os.open(os.path.join(directory, LOG_NAME), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return state
    for _index, lines in _lines_of(_plain_blocks(descriptor, os.fstat(descriptor).st_size), 0):
        state.entries += len(lines)
        state.bytes += sum(map(len, lines)) + len(lines)
    return state


def entries(
    directory: str, start: int = 0, stop: int | None = None, on_gap: Callable[[int, int], object] | None = None
) -> Iterator[tuple[int, bytes]]:
    """Yield ``(index, line without newline)`` of the committed entries from ``start`` to before ``stop``.

    Pruned entries are left out. Memory use does not grow with the log.

    :param on_gap: called with ``(first, stop)`` where entries are missing that were not pruned; without it they are an
        error.
    :raises IntegrityError: a segment is missing, too short or can't be decompressed.
    """
    for first, lines in blocks(directory, start, stop, on_gap):
        yield from enumerate(lines, first)


def blocks(
    directory: str, start: int = 0, stop: int | None = None, on_gap: Callable[[int, int], object] | None = None
) -> Iterator[tuple[int, list[bytes]]]:
    """Yield ``(index of the first, lines)`` in blocks of about a megabyte; see :func:`entries`."""
    index = start
    without = None if load_state(directory) is not None else _state(directory)  # counting all entries: once is enough
    while stop is None or index < stop:
        state, source, end = _open_at(directory, index, without)
        if source is None:
            return
        if end.first > index:
            if index < state.minimum:
                index = state.minimum
            if end.first > index:
                _gap(on_gap, end.path, index, end.first)
            index = end.first
            if stop is not None and index >= stop:
                return
        for at, found in _lines_of(source, end.first):
            lines = found
            if at < index:
                lines = lines[index - at :]
                at = index
            limit = end.stop if stop is None else min(stop, end.stop)
            if at + len(lines) > limit:
                lines = lines[: max(0, limit - at)]
            if lines:
                index = at + len(lines)
                yield at, lines
            if index >= limit:
                break
        source.close()
        if index < (end.stop if stop is None else min(stop, end.stop)):
            _gap(on_gap, end.path, index, end.stop)
            index = end.stop


def _gap(on_gap: Callable[[int, int], object] | None, path: str, first: int, stop: int) -> None:
    if on_gap is None:
        raise IntegrityError(
            f"The entries {first} to {stop - 1} of the log are missing.",
            hint=f"Restore {path} from a backup; toolkit audit verify says what else is wrong.",
            item=path,
        )
    on_gap(first, stop)


def _open_at(directory: str, index: int, without: State | None) -> tuple[State, Any, Segment]:
    """Open the segment that holds ``index``, or the next one; ``(state, None, ...)`` at the end of the log."""
    for _attempt in range(_TRIES):
        state = load_state(directory) or without or _state(directory)
        nothing = Segment(state.entries, state.entries, "", True, 0)
        index = max(index, state.minimum)
        if index >= state.entries:
            return state, None, nothing
        try:
            if index >= state.first:
                path = visible_path(os.path.join(directory, LOG_NAME), state.generation)
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                after = load_state(directory)
                if after is not None and after.generation != state.generation:
                    os.close(descriptor)  # replaced while it was opened: which one this is nobody knows
                    continue
                segment = Segment(state.first, state.entries, path, True, state.bytes)
                return state, _plain_blocks(descriptor, state.bytes), segment
            starts = _closed(directory, state)
            before = [first for first in starts if first <= index]
            first = before[-1] if before else min(starts, default=state.first)
            stop = min((start for start in starts if start > first), default=state.first)
            if first >= state.first:  # all closed segments are gone
                return (
                    state,
                    (block for block in ()),
                    Segment(state.first, state.first, segment_path(directory, index), False, 0),
                )
            path = visible_path(segment_path(directory, first), state.generation)
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            return state, _gzip_stream(descriptor, path), Segment(first, stop, path, False, 0)
        except FileNotFoundError:
            continue  # renamed or pruned between looking and opening
    raise IntegrityError(
        f"The segment with entry {index} is missing.", hint=f"Restore it below {directory} from a backup."
    )


def _plain_blocks(descriptor: int, size: int, seen: Callable[[bytes], object] | None = None) -> Iterator[bytes]:
    try:
        offset = 0
        while offset < size:
            data = os.pread(descriptor, min(_BLOCK, size - offset), offset)
            if not data:
                return
            if seen is not None:
                seen(data)
            yield data
            offset += len(data)
    finally:
        os.close(descriptor)


def read_segment(
    descriptor: int, path: str, compressed: bool, seen: Callable[[bytes], object] | None = None
) -> Iterator[bytes]:
    """Yield the plain bytes of a file in blocks of a megabyte at most, and close it.

    :param seen: called with the bytes as they are on disk.
    :raises IntegrityError: it can't be decompressed.
    """
    if compressed:
        return _gzip_stream(descriptor, path, seen)
    return _plain_blocks(descriptor, os.fstat(descriptor).st_size, seen)


def _gzip_blocks(path: str) -> Iterator[bytes]:
    return _gzip_stream(os.open(path, os.O_RDONLY | os.O_CLOEXEC), path)


def _gzip_stream(descriptor: int, path: str, seen: Callable[[bytes], object] | None = None) -> Iterator[bytes]:
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
    offset = 0
    try:
        while not inflate.eof:
            data = inflate.unconsumed_tail
            if not data:
                data = os.pread(descriptor, _BLOCK >> 2, offset)
                offset += len(data)
                if not data:
                    raise IntegrityError(f"The segment {path} ends too early.", item=path)
                if seen is not None:
                    seen(data)
            yield inflate.decompress(data, _BLOCK)
        if inflate.unused_data or os.pread(descriptor, 1, offset):
            raise IntegrityError(f"The segment {path} has bytes after its end.", item=path)
    except zlib.error as error:
        raise IntegrityError(f"The segment {path} can't be decompressed: {error}.", item=path) from None
    finally:
        os.close(descriptor)


def _lines_of(source: Iterator[bytes], index: int) -> Iterator[tuple[int, list[bytes]]]:
    """Yield ``(index of the first, whole lines)`` of a stream of blocks; what follows the last newline is left out."""
    rest = b""
    for data in source:
        lines = (rest + data if rest else data).split(b"\n")
        rest = lines.pop()
        if len(rest) > _LONGEST:
            raise IntegrityError(f"Entry {index + len(lines)} is longer than any entry can be.")
        if lines:
            yield index, lines
            index += len(lines)


class SegmentWriter:
    """Writes a segment, or a replacement for the active one, under its hidden name, and hashes it on the way.

    :param path: what it becomes; compressed where it ends with ``.gz`` (modification time 0, so that the same lines
        give the same bytes).
    :param generation: the one whose commit makes it valid.
    :raises OSError: it can't be written.
    """

    def __init__(self, path: str, generation: int) -> None:
        make_private_directory(os.path.dirname(path))
        self.path = path
        self.entries = 0
        self.bytes = 0
        self._hidden = hidden_path(path, generation)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(self._hidden, flags, 0o600)
        self._deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16) if path.endswith(".gz") else None
        self._plain = hashlib.sha256()
        self._packed = hashlib.sha256()

    def write(self, lines: list[bytes]) -> None:
        """Append whole lines, given without their newlines."""
        if lines:
            self.write_bytes(b"\n".join(lines) + b"\n", len(lines))

    def write_bytes(self, data: bytes, count: int) -> None:
        """Append ``data``, which holds ``count`` whole lines."""
        self.entries += count
        self.bytes += len(data)
        self._plain.update(data)
        self._put(self._deflate.compress(data) if self._deflate else data)

    def _put(self, data: bytes) -> None:
        self._packed.update(data)
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def close(self) -> dict:
        """Make it durable and return ``entries``, ``bytes`` (of the plain lines) and their ``sha256``; of a compressed
        one also ``sha256_gz``."""
        if self._deflate:
            self._put(self._deflate.flush())
        os.fsync(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1
        fsync_directory(os.path.dirname(self.path))
        told = {"entries": self.entries, "bytes": self.bytes, "sha256": self._plain.hexdigest()}
        if self._deflate:
            told["sha256_gz"] = self._packed.hexdigest()
        return told

    def abandon(self) -> None:
        """Remove it again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if os.path.exists(self._hidden):
            os.unlink(self._hidden)


def hash_segment(path: str) -> dict:
    """Return ``entries``, ``bytes``, ``sha256`` and ``sha256_gz`` of a closed segment as it is on disk.

    :raises IntegrityError: it can't be decompressed.
    """
    plain, packed, count, size = hashlib.sha256(), hashlib.sha256(), 0, 0
    for data in _gzip_stream(os.open(path, os.O_RDONLY | os.O_CLOEXEC), path, packed.update):
        plain.update(data)
        count += data.count(b"\n")
        size += len(data)
    return {"entries": count, "bytes": size, "sha256": plain.hexdigest(), "sha256_gz": packed.hexdigest()}
