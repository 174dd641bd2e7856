# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings an index up to date: what the log has beyond it, then what living journals have beyond the log.

Each batch is one transaction that says how far it came, so it can be killed at any point and several processes may do
it at the same time. Nothing that the log states about itself is believed: an entry leaves the index when it is gone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Protocol

from .rows import Row, RowMaker
from .source import Mark, Snapshot, Source

__all__ = ["BATCH", "Reached", "Store", "catch_up"]

BATCH = 20000
"""Entries of one transaction; what an index keeps in memory does not grow beyond it."""

_ROUNDS = 5


@dataclass(frozen=True)
class Reached:
    """How far an index is: the next entry's ``position``, the ``leaf`` hash of the one before it, the first entry not
    pruned, and where in the active segment that last entry begins."""

    position: int = 0
    leaf: str = ""
    minimum: int = 0
    mark: Mark = field(default_factory=Mark)


class Store(Protocol):
    """What keeps the rows: SQLite or PostgreSQL. All but :meth:`transaction` is called inside one."""

    def transaction(self) -> AbstractContextManager:
        """Begin a transaction that no other writer of this log's rows runs beside; commit or take all back."""

    def reached(self) -> Reached:
        """Return how far this log is indexed."""

    def set_reached(self, reached: Reached) -> None:
        """Note how far this log is indexed."""

    def insert(self, rows: list[Row]) -> None:
        """Add rows."""

    def pending_journals(self) -> dict[str, int]:
        """Return ``{run id: offset}``: how far journals were read."""

    def set_pending(self, run: str, offset: int | None) -> None:
        """Note how far a journal was read; with ``None`` forget it and remove its rows, those without position."""

    def erase(self, positions: list[int]) -> None:
        """Remove the rows of these entries without a trace."""

    def prune(self, minimum: int) -> None:
        """Remove the rows of all entries before ``minimum``."""

    def clear(self) -> None:
        """Remove everything of this log."""


def catch_up(store: Store, source: Source, progress: Callable[[int, int], object] | None = None) -> int:
    """Bring ``store`` up to what ``source`` holds now and return how many entries of the log were added.

    :param progress: called with ``(entries done, entries in all)`` after each batch.
    :raises OSError: the trail can't be read.
    """
    maker = RowMaker()
    added = 0
    for _round in range(_ROUNDS):
        snapshot = source.snapshot()
        added += _log(store, source, snapshot, maker, progress)
        if _journals(store, source, snapshot, maker):
            break
    return added


def _log(
    store: Store, source: Source, snapshot: Snapshot, maker: RowMaker, progress: Callable[[int, int], object] | None
) -> int:
    added = 0
    with store.transaction():
        reached = store.reached()
        if not _fits(reached, source, snapshot):
            store.clear()
            reached = Reached()
        if snapshot.minimum > reached.minimum:
            store.prune(snapshot.minimum)
            reached = replace(reached, minimum=snapshot.minimum)
            store.set_reached(reached)
    while reached.position < snapshot.entries:
        with store.transaction():
            reached = store.reached()  # another process may have come further
            before = reached.position
            if before >= snapshot.entries:
                break
            reached = _batch(store, source, snapshot, maker, reached)
            store.set_reached(reached)
        added += reached.position - before
        if progress is not None:
            progress(reached.position, snapshot.entries)
    return added


def _fits(reached: Reached, source: Source, snapshot: Snapshot) -> bool:
    """Return whether the log is the one that was indexed: its last indexed entry is what it was."""
    if reached.position == 0 or (reached.leaf == "" and reached.position <= snapshot.entries):
        return True  # nothing to compare; the end of the log was missing then
    if reached.position > snapshot.entries:
        return False
    last = reached.position - 1
    if last < snapshot.minimum or (
        reached.position == snapshot.entries
        and (reached.mark.first, reached.mark.generation) == (snapshot.first, snapshot.generation)
    ):
        return True  # nothing new, nothing replaced
    line = next((lines[0] for _at, lines in source.blocks(last, snapshot, reached.mark)), None)
    return line is not None and _leaf(source, line) == reached.leaf


def _leaf(source: Source, line: bytes) -> str:
    if line.startswith(b'{"erased":"'):
        try:
            return str(json.loads(line)["erased"])
        except (ValueError, KeyError, TypeError):
            return ""
    return source.leaf(line)


def _batch(store: Store, source: Source, snapshot: Snapshot, maker: RowMaker, reached: Reached) -> Reached:
    """Index the next entries of the log."""
    last = max(reached.position - 1, 0)
    marked = (reached.mark.first, reached.mark.generation) == (snapshot.first, snapshot.generation)
    # Without a mark the active segment is read from its beginning, which tells where its entries lie.
    start = last if marked or last < snapshot.first else snapshot.first
    offset = reached.mark.offset if marked and last >= snapshot.first else None
    rows: list[Row] = []
    position, line = reached.position, b""
    for at, found in _lines(source.blocks(start, snapshot, reached.mark)):
        if at == snapshot.first:
            offset = 0
        elif offset is not None and at > start:
            offset += len(line) + 1
        line = found
        if at < reached.position:
            continue
        row = maker.row(line, at)
        if row is not None:
            rows.append(row)
        position = at + 1
        if len(rows) >= BATCH:
            break
    if position == reached.position:  # the rest of the log is missing
        return replace(reached, position=snapshot.entries, leaf="", mark=Mark())
    for run in {row.values[0] for row in rows} & set(store.pending_journals()):
        store.set_pending(run, None)
    store.insert(rows)
    _erase(store, source, rows)
    mark = Mark() if offset is None else Mark(snapshot.first, snapshot.generation, offset)
    return replace(reached, position=position, leaf=_leaf(source, line), mark=mark)


def _lines(blocks: Iterator[tuple[int, list[bytes]]]) -> Iterator[tuple[int, bytes]]:
    for first, lines in blocks:
        yield from enumerate(lines, first)


def _erase(store: Store, source: Source, rows: list[Row]) -> None:
    gone = []
    for row in rows:
        if row.values[1] != "ENTRY_ERASED":
            continue
        details = json.loads(row.details)
        index = details.get("index") if isinstance(details, dict) else None
        if isinstance(index, int) and 0 <= index < (row.position or 0):
            line = source.line(index)
            if line is None or line.startswith(b'{"erased":"'):
                gone.append(index)
    if gone:
        store.erase(gone)


def _journals(store: Store, source: Source, snapshot: Snapshot, maker: RowMaker) -> bool:
    """Index what journals have beyond the log; return False when one is gone, so that the log has to be read again."""
    living = dict(source.journals())
    with store.transaction():
        known = store.pending_journals()
    for run, path in living.items():
        taken = snapshot.taken.get(run, 0)
        expected = known.get(run)
        for behind, lines in source.journal_blocks(path, max(expected or 0, taken)):
            with store.transaction():
                if store.reached().position != snapshot.entries or store.pending_journals().get(run) != expected:
                    return False  # another process was here
                if expected is not None and expected < taken:
                    store.set_pending(run, None)
                rows = [row for row in (maker.row(line, None) for line in lines) if row is not None]
                store.insert([row for row in rows if row.values[0] == run])
                store.set_pending(run, behind)
            expected = behind
    lost = [run for run in known if run not in living]
    if not lost:
        return True
    if source.snapshot() != snapshot:
        return False
    with store.transaction():
        for run in lost:
            if run in store.pending_journals():
                store.set_pending(run, None)
    return True
