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

from ..._core.errors import IntegrityError
from ..._core.files import read_bytes
from .merkle import Frontier, range_nodes
from .scan import Scanned
from .tiles import HASH_SIZE, TILE_BYTES, TILE_WIDTH, TileReader, partial_tiles, tile_path, tile_root

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
        self.pruned_wrong: list[int] = []
        self._directory = directory
        self._first = minimum // TILE_WIDTH
        self._stop = size // TILE_WIDTH
        self._roots = bytearray(self._stop * HASH_SIZE)
        self._known = bytearray(self._stop)
        self._heads: dict[int, bytes] = {}
        self._from_tiles = False
        # The log may grow meanwhile, and then these go.
        self._edge = {part[:2]: self._file(tile_path(*part)) for part in partial_tiles(size)}

    def take(self, found: Scanned) -> None:
        """Take in a part."""
        at = found.part.first // TILE_WIDTH
        count = min(len(found.roots) // HASH_SIZE, len(self._known) - at)
        if count > 0:
            self._roots[at * HASH_SIZE : (at + count) * HASH_SIZE] = found.roots[: count * HASH_SIZE]
            self._known[at : at + count] = b"\x01" * count
        self._heads.update(found.heads)
        self.differ.update(number for number in found.differ if number < self._stop)

    def settle(self, root: bytes | None) -> bool:
        """Decide what is wrong where lines and tiles differ; return whether the result has the signed ``root``.

        Afterwards :attr:`differ` holds the numbers of the tiles of level 0 that differ from the lines, and
        :attr:`entries_wrong` those of them where the lines are wrong; where nothing fits, all of them.
        """
        upper = self._take_pruned()
        self.differ.update(number for number in range(self._first, self._stop) if not self._known[number])
        width = self.size % TILE_WIDTH
        stored = self._stored(self._stop) if width else b""
        tail = self._heads.get(self.size) if width else b""
        if tail is not None and len(tail) != width * HASH_SIZE:
            tail = None
        if stored != tail:
            self.differ.add(self._stop)
        lines = bytes(self._roots)
        for by_upper in (False, True) if upper else (False,):
            if by_upper:  # a tile of the pruned part is wrong, unless the one above it is
                for number, digest in upper.items():
                    self._roots[number * HASH_SIZE : (number + 1) * HASH_SIZE] = digest
                self.pruned_wrong = sorted(upper)
            if self._settle(root, stored, tail):
                return True
            self._roots[:] = lines
        self.pruned_wrong = []
        self.entries_wrong = set(self.differ)
        return False

    def _take_pruned(self) -> dict[int, bytes]:
        """Take the tiles of pruned entries as they are; return what the level above says where that differs."""
        upper = {}
        for number in range(min(self._first, self._stop)):
            data, above = self._stored(number), self._parent(number)
            digest = tile_root(data) if data else above
            if digest is not None:
                self._roots[number * HASH_SIZE : (number + 1) * HASH_SIZE] = digest
            if above is not None and digest != above:
                upper[number] = above
        return upper

    def _settle(self, root: bytes | None, stored: bytes | None, tail: bytes | None) -> bool:
        lines = bytes(self._roots)
        if tail is not None and all(self._known[self._first :]) and self._root(self.size, tail) == root:
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
                at = number * HASH_SIZE
                if blame_by_parent and self._parent(number) == lines[at : at + HASH_SIZE]:
                    continue
                wrong.add(number)
                self._roots[at : at + HASH_SIZE] = digest or self._parent(number) or bytes(HASH_SIZE)
            for last in (stored, tail):
                if last is not None and self._root(self.size, last) == root:
                    self.entries_wrong = wrong if last == stored else wrong - {self._stop}
                    self._from_tiles = True
                    return True
        return False

    def _file(self, path: str) -> bytes | None:
        return read_bytes(os.path.join(self._directory, path))

    def _stored(self, number: int) -> bytes | None:
        """Return a tile of level 0, ``None`` where there is none of the right length."""
        if (0, number) in self._edge:
            data = self._edge[(0, number)]
            return data if data and len(data) == self.reader.width(0, number) * HASH_SIZE else None
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

    def _root(self, size: int, tail: bytes) -> bytes:
        return dict(self._roots_at([(size, tail)]))[size]

    def _roots_at(self, sizes: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        """Yield ``(size, root)`` of earlier trees, in order.

        :param sizes: sizes in order, each with the leaf hashes of its last tile.
        """
        frontier = Frontier()
        for size, tail in sizes:
            while frontier.size // TILE_WIDTH < size // TILE_WIDTH:
                at = frontier.size // TILE_WIDTH * HASH_SIZE
                frontier.append(bytes(self._roots[at : at + HASH_SIZE]), 8)
            rest = []
            for level, number in range_nodes(0, len(tail) // HASH_SIZE):
                start = (number << level) * HASH_SIZE
                rest.append(tile_root(tail[start : start + (HASH_SIZE << level)]))
            yield size, frontier.root(rest)

    def root_at(self, sizes: Iterable[int]) -> dict[int, bytes]:
        """Return the root that the log had at each of these sizes, without those where that can't be known."""
        wanted = []
        for size in sorted(set(sizes)):
            width = size % TILE_WIDTH
            tail = self._heads.get(size, b"") if width else b""
            if width and (self._from_tiles or len(tail) != width * HASH_SIZE):
                tail = (self._stored(size // TILE_WIDTH) or b"")[: width * HASH_SIZE]
            if size <= self.size and len(tail) == width * HASH_SIZE:
                wanted.append((size, tail))
        return dict(self._roots_at(wanted))

    def wrong_tiles(self) -> Iterator[tuple[str, list[int]]]:
        """Yield the path of every tile above level 0 that is wrong, and the numbers of the hashes on its level that
        are; none for a tile that is missing or has the wrong length."""
        level, row, count = 1, bytes(self._roots), self._stop
        while count:
            upper = bytearray()
            for number in range(-(-count // TILE_WIDTH)):
                width = min(TILE_WIDTH, count - number * TILE_WIDTH)
                expected = row[number * TILE_BYTES : number * TILE_BYTES + width * HASH_SIZE]
                path = tile_path(level, number, width)
                stored = self._edge[(level, number)] if (level, number) in self._edge else self._file(path)
                if stored != expected and not self._may_be_gone(level, number, stored):
                    yield path, _wrong_hashes(number, expected, stored)
                if width == TILE_WIDTH:
                    upper += tile_root(expected)
            level, row, count = level + 1, bytes(upper), count // TILE_WIDTH

    def _may_be_gone(self, level: int, number: int, stored: bytes | None) -> bool:
        """Return whether a missing tile covers only pruned entries; the specification lets those be removed."""
        return stored is None and (number + 1) * TILE_WIDTH << (8 * level - 8) <= self._first


def _wrong_hashes(number: int, expected: bytes, stored: bytes | None) -> list[int]:
    if stored is None or len(stored) != len(expected):
        return []
    return [
        number * TILE_WIDTH + at // HASH_SIZE
        for at in range(0, len(expected), HASH_SIZE)
        if stored[at : at + HASH_SIZE] != expected[at : at + HASH_SIZE]
    ]
