# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the index reads: the committed log, and of living journals what the log does not have yet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from ...._core.errors import IntegrityError
from ...proof.merkle import leaf_hash
from ...store.journal import JOURNAL_DIRECTORY, JOURNAL_SUFFIX
from ...store.segments import blocks, ranges
from ...store.state import LOG_NAME, State, load_state

__all__ = ["Mark", "Snapshot", "Source"]

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Mark:
    """Where in the active segment an entry begins, so that the next reading need not look for it: ``offset`` bytes into
    the file that begins with entry ``first``, as long as the log's ``generation`` stays."""

    first: int = 0
    generation: int = -1
    offset: int = 0


@dataclass(frozen=True)
class Snapshot:
    """What the log holds at one moment.

    :param entries: index of the next entry; ``minimum`` of the first that was not pruned, ``first`` of the active
        segment's first, of which ``bytes`` count.
    :param taken: by run id, how many bytes of its journal the log has.
    """

    entries: int
    minimum: int
    first: int
    bytes: int
    generation: int
    taken: dict[str, int]


class Source:
    """The trail in ``directory``, read without locks.

    :param directory: the log directory.
    :ivar damage: what could not be read, in sentences.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.damage: list[str] = []

    def snapshot(self) -> Snapshot:
        """Return how far the log is committed.

        :raises OSError: the directory can't be read.
        """
        os.stat(self.directory)
        state = load_state(self.directory)
        if state is None:  # a log of an older version, or none yet
            active = ranges(self.directory)[-1]
            state = State(entries=active.stop, first=active.first, bytes=active.size)
        taken = {run: int(entry["offset"]) for run, entry in state.journals.items()}
        return Snapshot(state.entries, state.minimum, state.first, state.bytes, state.generation, taken)

    def blocks(self, start: int, snapshot: Snapshot, mark: Mark) -> Iterator[tuple[int, list[bytes]]]:
        """Yield ``(index of the first, lines)`` from entry ``start`` to the end of the snapshot.

        Entries that are missing without having been pruned, or that can't be read, are left out; ``damage`` says so.
        """
        if start >= snapshot.first and (mark.first, mark.generation) == (snapshot.first, snapshot.generation):
            yield from self._from_mark(start, snapshot, mark)
            return
        while True:
            try:
                for first, lines in blocks(self.directory, start, snapshot.entries, on_gap=self._gap):
                    yield first, lines
                    start = first + len(lines)
                return
            except IntegrityError as error:
                self.damage.append(error.message)
            following = [part.stop for part in ranges(self.directory) if part.first <= start < part.stop]
            if not following or following[0] >= snapshot.entries:
                return
            start = following[0]

    def _gap(self, first: int, stop: int) -> None:
        self.damage.append(f"The entries {first} to {stop - 1} of the log are missing.")

    def _from_mark(self, start: int, snapshot: Snapshot, mark: Mark) -> Iterator[tuple[int, list[bytes]]]:
        with open(os.path.join(self.directory, LOG_NAME), "rb") as handle:
            handle.seek(mark.offset)
            rest = b""
            while start < snapshot.entries:
                data = handle.read(_BLOCK)
                if not data:
                    return
                lines = (rest + data).split(b"\n")
                rest = lines.pop()
                lines = lines[: snapshot.entries - start]
                if lines:
                    yield start, lines
                    start += len(lines)

    def line(self, index: int) -> bytes | None:
        """Return the line of an entry; ``None`` where there is none."""
        for at, lines in blocks(self.directory, index, index + 1, on_gap=lambda _first, _stop: None):
            return lines[0] if at == index else None
        return None

    @staticmethod
    def leaf(line: bytes) -> str:
        """Return the leaf hash of a line in hex."""
        return leaf_hash(line).hex()

    def journals(self) -> Iterator[tuple[str, str]]:
        """Yield ``(run id, path)`` of every journal, oldest first."""
        folder = os.path.join(self.directory, JOURNAL_DIRECTORY)
        try:
            names = sorted(os.listdir(folder))
        except FileNotFoundError:
            return
        for name in names:
            if name.endswith(JOURNAL_SUFFIX) and not name.startswith("."):
                yield name[: -len(JOURNAL_SUFFIX)], os.path.join(folder, name)

    @staticmethod
    def journal_blocks(path: str, offset: int) -> Iterator[tuple[int, list[bytes]]]:
        """Yield ``(offset behind them, whole lines)`` of a journal from ``offset`` on; nothing when it is gone."""
        try:
            handle = open(path, "rb")
        except FileNotFoundError:
            return
        with handle:
            handle.seek(offset)
            rest = b""
            while True:
                data = handle.read(_BLOCK)
                if not data:
                    return
                lines = (rest + data).split(b"\n")
                rest = lines.pop()
                if lines:
                    offset += sum(map(len, lines)) + len(lines)
                    yield offset, lines
