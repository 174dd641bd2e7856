# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pruning: the oldest entries leave the log. Never unless asked.

As in tlog-tiles (https://c2sp.org/tlog-tiles#pruning) the log has a minimum index then, a multiple of 256. The hashes
of pruned entries stay in the tiles, so the log still verifies, and later checkpoints are consistent with earlier
ones.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from ..._core.errors import DependencyError, ValidationError
from ..._core.files import fsync_directory
from . import blobs
from .log import Log
from .recovery import remove_pruned
from .segments import BORDER, SegmentWriter, blocks, ranges, segment_path
from .state import SEGMENT_DIRECTORY

__all__ = ["prune"]

_DAY = 86400
_STAMP = b'"timestamp":"'


def prune(
    directory: str,
    days: float | None = None,
    keep: int | None = None,
    dry_run: bool = False,
    warn: Callable[[str], object] | None = None,
    wait: float = 60.0,
) -> dict:
    """Remove entries that are older than ``days``, or all but the newest ``keep``; at least those that either allows.

    Up to 255 more entries than asked for stay, and with ``days`` everything after the first entry that is young enough:
    a clock that went backwards keeps entries, it never removes more.

    :param days: age in days of 86,400 seconds, by the entries' own timestamps.
    :param keep: number of entries.
    :param dry_run: only say what would go.
    :param wait: seconds to wait for the log.
    :return: ``minimum_index`` of what is left, ``entries`` and ``segments`` and ``blobs`` that went.
    :raises DependencyError: the log is not signed, for example because the library cryptography is missing.
    :raises ValidationError: neither or both limits are given, or one is negative.
    """
    if (days is None) == (keep is None):
        raise ValidationError("Exactly one of days and keep says what is pruned.")
    if (days is not None and days < 0) or (keep is not None and keep < 0):
        raise ValidationError("days and keep can't be negative.")
    with Log.wait(directory, wait, warn) as log:
        log.commit()
        before = log.state.minimum
        if days is not None:
            border = _border_by_age(directory, before, log.entries, time.time() - days * _DAY)
        else:
            border = log.entries - keep
        border = max(before, border - border % BORDER)
        told = {"minimum_index": border, "entries": border - before, "segments": 0, "blobs": 0}
        if border == before:
            return told
        doomed = [each for each in ranges(directory) if not each.active and each.first < border]
        told["segments"] = sum(each.stop <= border for each in doomed)
        known = blobs.names(directory)
        gone = {
            name
            for _first, lines in (blocks(directory, before, border, _ignore) if known else ())
            for line in lines
            for name in blobs.named_in(line, known)
        }
        told["blobs"] = len(gone)
        if dry_run:
            return told
        log.seal()
        if log.covered < border:
            raise DependencyError(
                "The log has no signed checkpoint over what would be pruned, so nothing would prove that it was there.",
                hint="toolkit audit integrate says what is missing.",
            )
        _cut(log, border)
        log.state.minimum = border
        limit = {"days": f"{days:g}"} if days is not None else {"keep": keep}
        log.append_event("LOG_PRUNED", {"minimum_index": border, "entries": border - before, **limit})
        log.replace_files()
        log.commit()
        remove_pruned(directory, log.state)
        if os.path.isdir(os.path.join(directory, SEGMENT_DIRECTORY)):
            fsync_directory(os.path.join(directory, SEGMENT_DIRECTORY))
        blobs.erase_all(directory, gone)
    return told


def _ignore(_first: int, _stop: int) -> None:
    """Entries that are missing anyway need no pruning."""


def _cut(log: Log, border: int) -> None:
    """Prepare what is left of the segment that the border divides."""
    for segment in ranges(log.directory):
        if segment.first >= border or (segment.stop <= border and not segment.active):
            continue
        source = blocks(log.directory, border, segment.stop, _ignore)
        if segment.active:
            log.replace_active(border, (b"\n".join(lines) + b"\n" for _first, lines in source))
            continue
        writer = SegmentWriter(segment_path(log.directory, border), log.next_generation)
        try:
            for _first, lines in source:
                writer.write(lines)
            told = writer.close()
        except BaseException:
            writer.abandon()
            raise
        log.append_event("SEGMENT_CLOSED", {"first": border, **told})


def _border_by_age(directory: str, start: int, stop: int, limit: float) -> int:
    """Return the index of the first entry that is not older than ``limit`` (seconds since the epoch)."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(max(0, limit))).encode("ascii")
    for first, lines in blocks(directory, start, stop, _ignore):
        for at, line in enumerate(lines):
            found = line.rfind(_STAMP)  # the last one: quotes inside of values are escaped, and details come before
            if found >= 0 and line[found + len(_STAMP) :][: len(stamp)] >= stamp:
                return first + at
    return stop
