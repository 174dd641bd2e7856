# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tree that the lines of a log give, against the tiles on disk and the signed root.

Three sources say what an entry is: its line, the tiles, and the root. Where the lines give the signed root, a tile that
differs is wrong; where the tiles give it, a line that differs is wrong; a mixture is decided tile by tile with the
tiles of the level above.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from .._core.errors import IntegrityError
from .._core.files import read_bytes
from .merkle import Frontier, range_nodes
from .scan import Scanned
from .tiles import HASH_SIZE, TILE_WIDTH, TileReader, tile_path, tile_root

__all__ = ["TreeCheck"]


class TreeCheck:
    """Puts together what :func:`scan.scan` found.

    :param directory: of the log.
    :param size: entries of the tree.
    :param minimum: entries below it were pruned; a multiple of 256.
    """

    def __init__(self, directory: str, size: int, minimum: int) -> None:
        self.size = size
        self.reader = TileReader(directory, size)
        self.differ: set[int] = set()
        self.entries_wrong: set[int] = set()
        self.problem: IntegrityError | None = None
        self._directory = directory
        self._first = minimum // TILE_WIDTH
        self._stop = max(self._first, size // TILE_WIDTH)
        self._roots = bytearray((self._stop - self._first) * HASH_SIZE)
        self._known = bytearray(self._stop - self._first)
        self._heads: dict[int, bytes] = {}
        self._minimum = minimum
        self._from_tiles = False

    def take(self, found: Scanned) -> None:
        """Take in a part."""
        at = found.part.first // TILE_WIDTH - self._first
        count = min(len(found.roots) // HASH_SIZE, len(self._known) - at)
        if at >= 0 and count > 0:
            self._roots[at * HASH_SIZE : (at + count) * HASH_SIZE] = found.roots[: count * HASH_SIZE]
            self._known[at : at + count] = b"\x01" * count
        self._heads.update(found.heads)
        self.differ.update(number for number in found.differ if number < self._stop)

    def settle(self, root: bytes | None) -> bool:
        """Decide what is wrong where lines and tiles differ; return whether the result has the signed ``root``.

        Afterwards :attr:`differ` holds the numbers of the tiles of level 0 that differ from the lines, and
        :attr:`entries_wrong` those of them where the lines are wrong; where nothing fits, all of them.
        """
        self.differ.update(self._first + at for at in range(len(self._known)) if not self._known[at])
        width = self.size % TILE_WIDTH
        stored = self._stored(self._stop) if width else b""
        tail = self._heads.get(self.size) if width else b""
        if tail is not None and len(tail) != width * HASH_SIZE:
            tail = None
        if stored != tail:
            self.differ.add(self._stop)
        lines = bytes(self._roots)
        if tail is not None and all(self._known) and self._root(self.size, tail) == root:
            return True
        if root is None:
            return False
        for blame_by_parent in (False, True):
            self._roots[:] = lines
            wrong = set()
            for number in sorted(self.differ):
                if number == self._stop:
                    wrong |= {number}
                    continue
                data = self._stored(number)
                digest = tile_root(data) if data else None
                at = (number - self._first) * HASH_SIZE
                if blame_by_parent and self._parent(number) == lines[at : at + HASH_SIZE]:
                    continue
                wrong.add(number)
                self._roots[at : at + HASH_SIZE] = digest or self._parent(number) or bytes(HASH_SIZE)
            for last in (stored, tail):
                if last is not None and self._root(self.size, last) == root:
                    self.entries_wrong = wrong if last == stored else wrong - {self._stop}
                    self._from_tiles = True
                    return True
        self._roots[:] = lines
        self.entries_wrong = set(self.differ)
        return False

    def _stored(self, number: int) -> bytes | None:
        try:
            return self.reader.tile(0, number)
        except IntegrityError:
            return None

    def _parent(self, number: int) -> bytes | None:
        try:
            return self.reader.node(8, number)
        except IntegrityError:
            return None

    def signed_leaves(self, first: int, stop: int) -> bytes:
        """Return the leaf hashes ``[first, stop)`` of the tiles; unknown ones are zero.

        ``first`` is a multiple of 256.
        """
        data = bytearray()
        for number in range(first // TILE_WIDTH, -(-stop // TILE_WIDTH)):
            data += self._stored(number) or bytes(self.reader.width(0, number) * HASH_SIZE)
        return bytes(data[: (stop - first) * HASH_SIZE])

    def _base(self) -> Frontier:
        return Frontier(self._minimum, self.reader.node)

    def _root(self, size: int, tail: bytes) -> bytes | None:
        return dict(self.roots([(size, tail)])).get(size)

    def roots(self, sizes: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes | None]]:
        """Yield ``(size, root)`` of earlier trees, in order; ``None`` where the pruned part hides it.

        :param sizes: sizes in order, each with the leaf hashes of its last tile.
        """
        try:
            frontier = self._base()
        except IntegrityError as error:
            self.problem = error
            for size, _tail in sizes:
                yield size, None
            return
        for size, tail in sizes:
            if size < self._minimum:
                try:
                    yield size, self.reader.root(size)
                except IntegrityError:
                    yield size, None
                continue
            while frontier.size // TILE_WIDTH < size // TILE_WIDTH:
                at = (frontier.size // TILE_WIDTH - self._first) * HASH_SIZE
                frontier.append(bytes(self._roots[at : at + HASH_SIZE]), 8)
            rest = []
            for level, number in range_nodes(0, len(tail) // HASH_SIZE):
                start = (number << level) * HASH_SIZE
                rest.append(tile_root(tail[start : start + (HASH_SIZE << level)]))
            yield size, frontier.root(rest)

    def root_at(self, sizes: Iterable[int]) -> dict[int, bytes | None]:
        """Return the root that the log had at each of these sizes; ``None`` where that can't be known."""
        wanted = []
        for size in sorted(set(sizes)):
            width = size % TILE_WIDTH
            tail = self._heads.get(size, b"") if width else b""
            if width and (self._from_tiles or len(tail) != width * HASH_SIZE):
                tail = (self._stored(size // TILE_WIDTH) or b"")[: width * HASH_SIZE]
            if size > self.size or (len(tail) != width * HASH_SIZE and size >= self._minimum):
                continue
            wanted.append((size, tail))
        return dict(self.roots(wanted))

    def wrong_tiles(self) -> Iterator[tuple[str, list[int]]]:
        """Yield the path of every tile above level 0 that is wrong, and the numbers of the hashes on its level that
        are; none for a tile that is missing or has the wrong length."""
        level, base, row = 1, self._first, bytes(self._roots)
        count = self.size // TILE_WIDTH
        while count:
            upper = bytearray()
            upper_base = -(-base // TILE_WIDTH)
            for number in range(base // TILE_WIDTH, -(-count // TILE_WIDTH)):
                width = min(TILE_WIDTH, count - number * TILE_WIDTH)
                start = (number * TILE_WIDTH - base) * HASH_SIZE
                expected = row[max(0, start) : start + width * HASH_SIZE]
                path = tile_path(level, number, width)
                stored = read_bytes(os.path.join(self._directory, path))
                if stored is not None and start < 0 and len(stored) == width * HASH_SIZE:
                    expected = stored[:-start] + expected
                if stored != expected:
                    yield path, _wrong_hashes(number, expected, stored)
                if width == TILE_WIDTH:
                    if start >= 0:
                        upper += tile_root(expected)
                    elif len(expected) == TILE_WIDTH * HASH_SIZE:
                        upper_base = number
                        upper += tile_root(expected)
            level, base, row, count = level + 1, upper_base, bytes(upper), count // TILE_WIDTH


def _wrong_hashes(number: int, expected: bytes, stored: bytes | None) -> list[int]:
    if stored is None or len(stored) != len(expected):
        return []
    return [
        number * TILE_WIDTH + at // HASH_SIZE
        for at in range(0, len(expected), HASH_SIZE)
        if stored[at : at + HASH_SIZE] != expected[at : at + HASH_SIZE]
    ]
