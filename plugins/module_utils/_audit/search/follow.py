# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Follows the trail: every entry as it is recorded, from the journals of living runs and from the log, each once."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

from .index.rows import ERASED, RowMaker
from .index.source import Mark, Source

__all__ = ["Follower", "follow"]

_INTERVAL = 0.2
_BLOCK = 1 << 20


class _Journal:
    """One journal under observation. ``shown`` counts lines that the log will bring again."""

    def __init__(self, handle: BinaryIO, offset: int) -> None:
        self.handle = handle
        self.shown = 0
        self._rest = b""
        handle.seek(offset)

    def lines(self) -> Iterator[bytes]:
        while True:
            data = self.handle.read(_BLOCK)
            if not data:
                return
            *whole, self._rest = (self._rest + data).split(b"\n")
            self.shown += len(whole)
            yield from whole


class Follower:
    """Reads what is new at each call of :meth:`new`. It begins with what is recorded after it was made.

    :param directory: the log directory.
    :raises OSError: it can't be read.
    """

    def __init__(self, directory: str) -> None:
        self._source = Source(directory)
        self._journals: dict[str, _Journal] = {}
        self._maker = RowMaker()
        snapshot = self._source.snapshot()
        self._position = snapshot.entries
        self._mark = Mark(snapshot.first, snapshot.generation, snapshot.bytes)
        self._open(snapshot.taken)
        for journal in self._journals.values():
            for _line in journal.lines():
                pass  # was recorded before

    def _open(self, taken: dict[str, int]) -> None:
        for run, path in self._source.journals():
            if run not in self._journals:
                try:
                    handle = open(path, "rb")
                except FileNotFoundError:
                    continue
                self._journals[run] = _Journal(handle, taken.get(run, 0))

    def new(self) -> Iterator[tuple[dict, int]]:
        """Yield ``(record, milliseconds since 1970)`` of every entry since the last call."""
        # The journals are read after the snapshot, so they have shown all that it has of their runs. A journal that was
        # not there the last time is read from its beginning: nothing of it is before our place in the log.
        snapshot = self._source.snapshot()
        self._open({})
        for run in list(self._journals):
            for line in self._journals[run].lines():
                yield from self._told(line, None)
        for first, lines in self._source.blocks(self._position, snapshot, self._mark):
            for at, line in enumerate(lines, first):
                self._position = at + 1
                run = _run_of(line)
                journal = self._journals.get(run)
                if journal is not None and journal.shown:
                    journal.shown -= 1
                else:
                    yield from self._told(line, at)
        self._position = snapshot.entries
        self._mark = Mark(snapshot.first, snapshot.generation, snapshot.bytes)
        self._close()

    def _told(self, line: bytes, position: int | None) -> Iterator[tuple[dict, int]]:
        try:
            record = json.loads(line)
        except ValueError:
            return
        if not isinstance(record, dict) or "event_type" not in record or record["event_type"] == ERASED:
            return
        milliseconds, _exact = self._maker.milliseconds(record.get("timestamp"))
        record["index"] = position
        record.setdefault("details", {})
        yield record, milliseconds

    def _close(self) -> None:
        """Forget the journals that the log has taken in whole."""
        living = dict(self._source.journals())
        for run in [run for run, journal in self._journals.items() if run not in living and not journal.shown]:
            self._journals.pop(run).handle.close()


def _run_of(line: bytes) -> str:
    try:
        run = json.loads(line).get("run_id")
    except (ValueError, AttributeError):
        return ""
    return run if isinstance(run, str) else ""


def follow(directory: str, pause: Callable[[float], object] = time.sleep) -> Iterator[tuple[dict, int]]:
    """Yield ``(record, milliseconds)`` of every entry from now on, without end.

    :param pause: called with the seconds to wait between two looks.
    """
    os.stat(directory)
    follower = Follower(directory)

    def entries() -> Iterator[tuple[dict, int]]:
        while True:
            yield from follower.new()
            pause(_INTERVAL)

    return entries()
