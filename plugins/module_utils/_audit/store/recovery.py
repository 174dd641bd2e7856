# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Recovery: what the next holder of the log's lock does about what a crash, a full disk or a stranger left.

Nothing is thrown away that is not certainly still elsewhere, and every repair becomes a ``LOG_REPAIRED`` entry: it is
noted in the state before it is done, so a crash in between does not hide it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator

from ..._core.files import fsync_directory
from ..proof.checkpoint import CHECKPOINT_NAME
from ..proof.tiles import TILE_DIRECTORY
from .journal import make_private_directory, names_of_journals, reading
from .segments import blocks
from .state import (
    LOG_NAME,
    SEGMENT_DIRECTORY,
    State,
    discard_hidden,
    load_state,
    publish_hidden,
    replace_file,
    store_state,
)

__all__ = [
    "DAMAGED_DIRECTORY",
    "OWN_EVENTS",
    "committed_state",
    "keep_aside",
    "move_aside",
    "open_active",
    "pad_lost",
    "remove_pruned",
    "tile_directories",
]

DAMAGED_DIRECTORY = "damaged"
"""Where things are kept that a repair took out."""

OWN_EVENTS = frozenset(
    (
        "ENTRY_ERASED",
        "ERASED",
        "JOURNAL_IMPORTED",
        "KEY_ADDED",
        "KEY_RETIRED",
        "LOG_PRUNED",
        "LOG_REPAIRED",
        "LOST",
        "SEGMENT_CLOSED",
    )
)
"""Events that the log writes about itself."""

_BLOCK = 1 << 20
_LINE = 1 << 17


def committed_state(directory: str) -> State:
    """Return the state of the log, finished or undone where a crash came between; a log without one gets it."""
    state = load_state(directory)
    if state is None:
        discard_hidden(directory, -1)
        state = _rebuilt_state(directory)
        store_state(directory, state)
        return state
    publish_hidden(directory, state.generation)
    discard_hidden(directory, state.generation)
    if state.minimum:
        remove_pruned(directory, state)
    return state


def remove_pruned(directory: str, state: State) -> None:
    """Remove the closed segments before the minimum index."""
    folder = os.path.join(directory, SEGMENT_DIRECTORY)
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(folder):
            if name[:20].isdigit() and int(name[:20]) < state.minimum:
                os.unlink(os.path.join(folder, name))


def open_active(directory: str, state: State) -> int:
    """Open the active segment for appending and make it as long as the state says.

    :return: the descriptor.
    """
    path = os.path.join(directory, LOG_NAME)
    new = not os.path.exists(path)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if new:
            fsync_directory(directory)
        size = os.fstat(descriptor).st_size
        if size > state.bytes:
            _cut_tail(directory, descriptor, state, size)
        elif size < state.bytes:
            whole, count = _whole_lines(descriptor, size)
            stop, state.bytes, state.entries = state.entries, whole, state.first + count
            if size > whole:
                keep_aside(directory, LOG_NAME, os.pread(descriptor, size - whole, whole))
            pad_lost(directory, descriptor, state, stop, "The active segment was too short.")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _cut_tail(directory: str, descriptor: int, state: State, size: int) -> None:
    """Remove what was appended but not committed; it is kept aside unless a journal still holds it."""
    digest = hashlib.sha256()
    for data in _read(descriptor, state.bytes, size):
        digest.update(data)
    details = {"repair": "tail", "bytes": size - state.bytes, "sha256": digest.hexdigest(), "kept": []}
    if not _is_elsewhere(directory, descriptor, state, size):
        details["kept"] = [keep_aside(directory, LOG_NAME, b"".join(_read(descriptor, state.bytes, size)))]
    if details not in state.repairs:
        state.repairs.append(details)
    store_state(directory, state)
    os.ftruncate(descriptor, state.bytes)
    os.fsync(descriptor)


def _is_elsewhere(directory: str, descriptor: int, state: State, size: int) -> bool:
    """Return whether the bytes beyond the commit consist of pieces of journals, each going on where the log has it, and
    of events of the log's own, which did not happen without their commit."""
    position = state.bytes
    offsets = {run_id: state.journals.get(run_id, {}).get("offset", 0) for run_id in names_of_journals(directory)}
    while position < size:
        line = os.pread(descriptor, min(_LINE, size - position), position)
        line = line[: line.find(b"\n") + 1] or line
        for run_id in offsets:
            same = _same_bytes(directory, run_id, offsets[run_id], descriptor, position, size)
            if same == size - position or same >= len(line):
                whole = same if position + same == size else _whole_of(descriptor, position, same)
                offsets[run_id] += whole
                position += whole
                break
        else:
            if not line.endswith(b"\n") or not _own(line):
                return False
            position += len(line)
    return True


def _own(line: bytes) -> bool:
    try:
        return json.loads(line)["event_type"] in OWN_EVENTS | {"INTERRUPTED"}
    except (ValueError, KeyError, TypeError):
        return False


def _same_bytes(directory: str, run_id: str, offset: int, log: int, position: int, end: int) -> int:
    """Return how many bytes the journal from ``offset`` and the log from ``position`` have in common."""
    begin = position
    with reading(directory, run_id) as journal:
        while journal is not None and position < end:
            length = min(_BLOCK, end - position)
            ours, theirs = os.pread(log, length, position), os.pread(journal, length, offset)
            if not ours or not theirs:
                break
            common = _common(ours, theirs)
            position += common
            offset += common
            if common < length:
                break
    return position - begin


def _common(one: bytes, other: bytes) -> int:
    """Return the length of the common beginning."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _whole_of(descriptor: int, position: int, length: int) -> int:
    """Return the length of the whole lines among ``length`` bytes."""
    start = max(position, position + length - _LINE)
    tail = os.pread(descriptor, position + length - start, start)
    return start - position + tail.rfind(b"\n") + 1


def _read(descriptor: int, offset: int, end: int) -> Iterator[bytes]:
    while offset < end:
        data = os.pread(descriptor, min(_BLOCK, end - offset), offset)
        if not data:
            return
        yield data
        offset += len(data)


def _whole_lines(descriptor: int, size: int) -> tuple[int, int]:
    """Return the bytes and the number of the whole lines."""
    whole = count = position = 0
    for data in _read(descriptor, 0, size):
        count += data.count(b"\n")
        if b"\n" in data:
            whole = position + data.rfind(b"\n") + 1
        position += len(data)
    return whole, count


def pad_lost(directory: str, active: int, state: State, stop: int, reason: str) -> None:
    """Put ``LOST`` lines in the place of entries that are gone, so that those to come get the indexes after them.

    The tree keeps the hashes of the lost ones, so verification goes on to name each.
    """
    first = state.entries
    details = {"repair": "lost", "first": first, "entries": stop - first, "reason": reason, "kept": []}
    if details not in state.repairs:
        state.repairs.append(details)
    size = state.bytes
    os.ftruncate(active, size)
    try:
        for begin in range(first, stop, 1 << 14):
            indexes = range(begin, min(stop, begin + (1 << 14)))
            data = b"".join(b'{"event_type":"LOST","index":%d}\n' % index for index in indexes)
            size += len(data)
            view = memoryview(data)
            while view:
                view = view[os.write(active, view) :]
        os.fsync(active)
    except OSError:
        os.ftruncate(active, state.bytes)
        raise
    state.bytes, state.entries = size, stop
    store_state(directory, state)


def keep_aside(directory: str, name: str, data: bytes) -> str:
    """Keep bytes under ``damaged/``, once, and return the path relative to the directory."""
    folder = os.path.join(directory, DAMAGED_DIRECTORY)
    make_private_directory(folder)
    kept = os.path.join(DAMAGED_DIRECTORY, f"{name}-{hashlib.sha256(data).hexdigest()[:16]}")
    replace_file(os.path.join(directory, kept), data)
    return kept


def move_aside(directory: str, name: str) -> str | None:
    """Move a directory under ``damaged/`` and return its new path relative to ``directory``; None if there is none."""
    if not os.path.isdir(os.path.join(directory, name)):
        return None
    folder = os.path.join(directory, DAMAGED_DIRECTORY)
    make_private_directory(folder)
    number = 1
    while os.path.exists(os.path.join(folder, f"{name}-{number}")):
        number += 1
    kept = os.path.join(DAMAGED_DIRECTORY, f"{name}-{number}")
    os.mkdir(os.path.join(directory, kept), 0o700)
    os.rename(os.path.join(directory, name), os.path.join(directory, kept, name))
    fsync_directory(os.path.join(directory, kept))
    fsync_directory(folder)
    fsync_directory(directory)
    return kept


def tile_directories(directory: str, state: State) -> list[tuple[str, int]]:
    """Return ``(directory, size)`` of the present tree and of those that were moved aside, newest first."""
    found = [(directory, state.entries)]
    with contextlib.suppress(FileNotFoundError):
        names = os.listdir(os.path.join(directory, DAMAGED_DIRECTORY))
        numbers = [int(name.rpartition("-")[2]) for name in names if re.fullmatch(TILE_DIRECTORY + r"-\d+", name)]
        for number in sorted(numbers, reverse=True):
            found.append((os.path.join(directory, DAMAGED_DIRECTORY, f"{TILE_DIRECTORY}-{number}"), state.entries))
    return found


def _rebuilt_state(directory: str) -> State:
    """Return the state of a log that has none: a new log, one of the first version, or one whose state was lost."""
    path = os.path.join(directory, LOG_NAME)
    state = State()
    segments = os.path.join(directory, SEGMENT_DIRECTORY)
    sealed = os.path.exists(os.path.join(directory, CHECKPOINT_NAME)) or os.path.isdir(segments)
    if not os.path.exists(path) and not sealed:
        return state
    # The journals say what the log should continue with: a line that stands in both was taken in already.
    offsets = dict.fromkeys(names_of_journals(directory), 0)
    expected = {_line_at(directory, run_id, 0): run_id for run_id in offsets}
    gaps: list[dict] = []
    starts = []
    index = 0
    for first, lines in blocks(directory, 0, None, lambda start, stop: gaps.append({"first": start, "stop": stop})):
        starts.append(first)
        for line in lines:
            run_id = expected.pop(line, None) if line in expected else None
            if run_id is not None:
                offsets[run_id] += len(line) + 1
                expected[_line_at(directory, run_id, offsets[run_id])] = run_id
        index = first + len(lines)
    state.entries = index
    state.minimum = starts[0] if starts else 0
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        state.bytes, count = _whole_lines(descriptor, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)
    state.first = state.entries - count
    state.journals = {run_id: {"offset": offset} for run_id, offset in offsets.items() if offset}
    repair = "state" if sealed else "adopted"
    state.repairs.append({"repair": repair, "entries": state.entries, "gaps": gaps[:16], "kept": []})
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(directory, "integrator.intent"))  # of the first version
    return state


def _line_at(directory: str, run_id: str, offset: int) -> bytes | None:
    with reading(directory, run_id) as journal:
        data = os.pread(journal, _LINE, offset) if journal is not None else b""
    end = data.find(b"\n")
    return data[:end] if end >= 0 else None
