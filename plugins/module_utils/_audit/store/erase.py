# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Erasing: single entries leave the log for good, their hashes stay, and the log says so.

The hash of an erased entry tells nothing of it, since each line has a random salt of 128 bits. Everything happens in
one commit: the segments without the entries, their new hashes, and the ``ENTRY_ERASED`` records.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator

from ..._core.errors import ConflictError, NotFoundError, UnsafeError, ValidationError
from . import blobs
from .journal import names_of_journals
from .log import Log
from .recovery import OWN_EVENTS
from .segments import Segment, SegmentWriter, blocks, ranges, segment_path

__all__ = ["entries_of_run", "erase", "erased_line"]

_REASON = 500


def erased_line(index: int, leaf_hash: str) -> bytes:
    """Return the line that stands for an erased entry."""
    return b'{"erased":"%s","event_type":"ERASED","index":%d}' % (leaf_hash.encode("ascii"), index)


def entries_of_run(directory: str, run_id: str) -> list[int]:
    """Return the indexes of the entries of a run.

    :raises NotFoundError: there are none.
    """
    mark = b'"run_id":' + json.dumps(run_id).encode("ascii")
    found = [
        index
        for first, lines in blocks(directory, on_gap=lambda _first, _stop: None)
        for index, line in enumerate(lines, first)
        if mark in line and json.loads(line).get("run_id") == run_id
    ]
    if not found:
        raise NotFoundError(f"The log has no entries of a run {run_id}.")
    return found


class _Eraser:
    """Replaces entries in lines that pass by, and remembers what they were."""

    def __init__(self, directory: str, indexes: set[int]) -> None:
        self.erased: dict[int, str] = {}
        self.blobs: set[str] = set()
        self._indexes = indexes
        self._living = set(names_of_journals(directory))
        self._known_blobs = blobs.names(directory)

    def lines(self, source: Iterator[tuple[int, list[bytes]]]) -> Iterator[list[bytes]]:
        for first, found in source:
            lines = found
            for index in sorted(self._indexes.intersection(range(first, first + len(lines)))):
                lines[index - first] = self._replaced(index, lines[index - first])
            yield lines

    def _replaced(self, index: int, line: bytes) -> bytes:
        try:
            record = json.loads(line)
            kind, run_id = record.get("event_type"), record.get("run_id")
        except (ValueError, AttributeError, RecursionError):
            kind, run_id = None, None
        if kind == "ERASED":
            return line
        if kind in OWN_EVENTS:
            raise UnsafeError(
                f"Entry {index} is a {kind} of the log itself, which verification needs.",
                hint="Name entries of runs only.",
            )
        if run_id in self._living:
            raise ConflictError(
                f"The run {run_id} of entry {index} is still in a journal.", hint="Erase it when the run has ended."
            )
        leaf = hashlib.sha256(b"\0" + line).hexdigest()
        self.erased[index] = leaf
        self.blobs |= blobs.named_in(line, self._known_blobs)
        return erased_line(index, leaf)


def erase(
    directory: str,
    indexes: Iterable[int],
    reason: str,
    warn: Callable[[str], object] | None = None,
    wait: float = 60.0,
) -> dict:
    """Erase entries, and the side blobs they name.

    :param indexes: of the entries; those already erased are left as they are.
    :param reason: why, for the record; at most 500 characters, without anything that should not be in the log.
    :param wait: seconds to wait for the log.
    :return: ``erased`` (indexes), ``blobs`` (how many), ``segments`` (closed ones that were written anew).
    :raises ValidationError: there is no reason, or it is too long.
    :raises NotFoundError: there is no such entry, or it was pruned.
    :raises UnsafeError: an entry is one of the log's own.
    :raises ConflictError: the run of an entry is not over.
    """
    wanted = set(indexes)
    if not reason.strip() or len(reason) > _REASON:
        raise ValidationError(f"reason: an erasure needs a reason of at most {_REASON} characters.")
    with Log.wait(directory, wait, warn) as log:
        for index in sorted(wanted):
            if not log.state.minimum <= index < log.entries:
                raise NotFoundError(
                    f"There is no entry {index}.",
                    hint=f"The log has the entries {log.state.minimum} to {log.entries - 1}.",
                )
        log.commit()
        eraser = _Eraser(directory, wanted)
        hashes = {}
        for segment in ranges(directory):
            if not wanted.intersection(range(segment.first, segment.stop)):
                continue
            source = eraser.lines(blocks(directory, segment.first, segment.stop))
            before = len(eraser.erased)
            if segment.active:
                log.replace_active(segment.first, (b"\n".join(lines) + b"\n" for lines in source))
                continue
            told = _rewritten(log, segment, source)
            if len(eraser.erased) > before:
                hashes[segment.first] = (segment.stop, {"first": segment.first, **told})
        if not eraser.erased:
            log.abandon()
            return {"erased": [], "blobs": 0, "segments": 0}
        for index, leaf in sorted(eraser.erased.items()):
            segments = [told for first, (stop, told) in hashes.items() if first <= index < stop]
            details = {"index": index, "leaf_hash": leaf, "reason": reason, "segments": segments}
            log.append_event("ENTRY_ERASED", details)
        log.replace_files()
        log.commit()
        gone = blobs.erase_all(directory, eraser.blobs)
    return {"erased": sorted(eraser.erased), "blobs": gone, "segments": len(hashes)}


def _rewritten(log: Log, segment: Segment, source: Iterator[list[bytes]]) -> dict:
    writer = SegmentWriter(segment_path(log.directory, segment.first), log.next_generation)
    try:
        for lines in source:
            writer.write(lines)
        return writer.close()
    except BaseException:
        writer.abandon()
        raise
