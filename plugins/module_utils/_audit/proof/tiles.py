# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tiles: the hashes of the Merkle tree in files of up to 256 (https://c2sp.org/tlog-tiles).

``tile/<L>/<N>`` holds 256 hashes of 32 bytes: on level 0 those of entries, above it those of full tiles one level
below. The tile at the right edge of a level is partial, ``tile/<L>/<N>.p/<W>`` with W hashes. A full tile never
changes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator

from ..._core.errors import IntegrityError
from ..._core.files import fsync_directory, read_bytes, write_atomic
from ..store.journal import make_private_directory
from .merkle import Frontier, subtree_hash

__all__ = [
    "HASH_SIZE",
    "TILE_BYTES",
    "TILE_DIRECTORY",
    "TILE_WIDTH",
    "TileBuilder",
    "TileReader",
    "TreeWriter",
    "partial_tiles",
    "tile_path",
    "tile_root",
]

HASH_SIZE = 32
TILE_WIDTH = 256
TILE_BYTES = TILE_WIDTH * HASH_SIZE
TILE_DIRECTORY = "tile"

_sha256 = hashlib.sha256
_HEIGHT = 8
_PENDING = 256
_CACHED = 64


def tile_path(level: int | str, number: int, width: int = TILE_WIDTH) -> str:
    """Return the path of a tile relative to the log's directory; ``level`` is ``entries`` for entry bundles.

    >>> tile_path(0, 1234067, 5)
    'tile/0/x001/x234/067.p/5'
    """
    parts = [f"{number % 1000:03d}"]
    while number >= 1000:
        number //= 1000
        parts.insert(0, f"x{number % 1000:03d}")
    name = "/".join(parts)
    return f"{TILE_DIRECTORY}/{level}/{name}" + ("" if width == TILE_WIDTH else f".p/{width}")


def partial_tiles(size: int) -> Iterator[tuple[int, int, int]]:
    """Yield ``(level, number, width)`` of every partial tile of a tree with ``size`` entries."""
    level = 0
    while size:
        if size % TILE_WIDTH:
            yield level, size // TILE_WIDTH, size % TILE_WIDTH
        size //= TILE_WIDTH
        level += 1


def tile_root(data: bytes) -> bytes:
    """Return the hash over the 256 hashes of a full tile, which is one hash of the tile above it; or over fewer, if
    their number is a power of two."""
    while len(data) > HASH_SIZE:  # node_hash, written out: it is called once for every entry
        pairs = range(0, len(data), 2 * HASH_SIZE)
        data = b"".join([_sha256(b"\x01" + data[at : at + 2 * HASH_SIZE]).digest() for at in pairs])
    return data


class TileReader:
    """Reads the tiles under ``<directory>/tile``.

    :param directory: the log's directory, or the root of an exported log.
    :param size: of the tree; the partial tiles of this size are used, or full ones that grew out of them.
    """

    def __init__(self, directory: str, size: int) -> None:
        self.directory = directory
        self.size = size
        self._cache: dict[tuple[int, int], bytes] = {}

    def width(self, level: int, number: int) -> int:
        """Return how many hashes the tile has in this tree; 0 where there is no such tile."""
        return max(0, min(TILE_WIDTH, (self.size >> (_HEIGHT * level)) - number * TILE_WIDTH))

    def tile(self, level: int, number: int) -> bytes:
        """Return the bytes of a tile.

        :raises IntegrityError: it is missing or has the wrong length.
        """
        key = (level, number)
        data = self._cache.get(key)
        if data is None:
            data = self._read(level, number)
            if len(self._cache) >= _CACHED:
                self._cache.pop(next(iter(self._cache)))
            self._cache[key] = data
        return data

    def _read(self, level: int, number: int) -> bytes:
        width = self.width(level, number)
        path = tile_path(level, number, width)
        data = read_bytes(os.path.join(self.directory, path)) if width else None
        if data is None and 0 < width < TILE_WIDTH:
            data = self._read_grown(level, number, width)
        if data is None:
            raise IntegrityError(f"The tile {path} is missing.", item=path)
        if len(data) != width * HASH_SIZE:
            raise IntegrityError(f"The tile {path} has {len(data)} bytes instead of {width * HASH_SIZE}.", item=path)
        return data

    def _read_grown(self, level: int, number: int, width: int) -> bytes | None:
        """Return the beginning of what became of a partial tile when the log grew."""
        whole = os.path.join(self.directory, tile_path(level, number))
        paths = [whole]
        try:
            paths += [f"{whole}.p/{name}" for name in os.listdir(f"{whole}.p") if name.isdigit() and int(name) > width]
        except FileNotFoundError:
            pass
        for path in paths:
            data = read_bytes(path)
            if data is not None and len(data) >= width * HASH_SIZE:
                return data[: width * HASH_SIZE]
        return None

    def leaf(self, index: int) -> bytes:
        """Return the leaf hash of entry ``index``.

        :raises IntegrityError: its tile is missing or has the wrong length.
        """
        return self.node(0, index)

    def node(self, level: int, number: int) -> bytes:
        """Return the hash of the complete subtree over the leaves ``[number << level, (number + 1) << level)``.

        :raises IntegrityError: a tile is missing or has the wrong length.
        """
        row = level // _HEIGHT
        inner = level % _HEIGHT
        first = number << inner
        data = self.tile(row, first // TILE_WIDTH)
        at = first % TILE_WIDTH * HASH_SIZE
        part = data[at : at + (HASH_SIZE << inner)]
        if len(part) != HASH_SIZE << inner:
            raise IntegrityError(f"A tree of {self.size} entries has no node {number} on level {level}.")
        return tile_root(part)

    def root(self, size: int | None = None) -> bytes:
        """Return the root of the tree, or of the smaller one that it was with ``size`` entries.

        :raises IntegrityError: a tile is missing or has the wrong length.
        """
        return subtree_hash(0, self.size if size is None else size, self.node)


class TileBuilder:
    """Turns a stream of leaf hashes into tiles and hands each out once: full ones when they fill up.

    :param rows: the hashes at the right edge of each level, lowest level first; none for a new tree.
    """

    def __init__(self, size: int = 0, rows: Iterable[bytes] = ()) -> None:
        self.size = size
        self._rows = [bytearray(row) for row in rows]

    def append(self, digest: bytes, level: int = 0) -> Iterator[tuple[int, int, bytes]]:
        """Add a hash to the right edge of ``level`` and yield ``(level, number, bytes)`` of tiles that became full."""
        self.size += TILE_WIDTH**level
        while True:
            while len(self._rows) <= level:
                self._rows.append(bytearray())
            row = self._rows[level]
            row += digest
            if len(row) < TILE_BYTES:
                return
            data = bytes(row)
            row.clear()
            yield level, (self.size >> (_HEIGHT * (level + 1))) - 1, data
            digest = tile_root(data)
            level += 1

    def partial(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield ``(level, number, bytes)`` of every partial tile."""
        for level, number, _width in partial_tiles(self.size):
            yield level, number, bytes(self._rows[level])

    def root(self) -> bytes:
        """Return the root of the tree."""

        def node(level: int, number: int) -> bytes:
            row, inner = divmod(level, _HEIGHT)
            at = (number << inner) % TILE_WIDTH * HASH_SIZE
            return tile_root(bytes(self._rows[row][at : at + (HASH_SIZE << inner)]))

        return Frontier(self.size, node).root()


class TreeWriter:
    """Appends to the tiles under ``<directory>/tile``; it loads only the right edge of the tree.

    Order for a caller that must survive a crash: append, :meth:`flush`, write the checkpoint, record the new size as
    the committed one, :meth:`clean`. Before the last two steps the tiles of the old size are all still there, so a new
    writer with the old size begins again and writes the same files, or other bytes for other entries.

    :param directory: the log's directory.
    :param size: committed entries. To rebuild lost tiles, begin with 0 and append the leaf hashes of all entries.
    :raises IntegrityError: a tile of the right edge is missing or has the wrong length.
    """

    def __init__(self, directory: str, size: int = 0) -> None:
        self.directory = directory
        reader = TileReader(directory, size)
        rows = [b""] * (1 + max((level for level, _number, _width in partial_tiles(size)), default=-1))
        for level, number, _width in partial_tiles(size):
            rows[level] = reader.tile(level, number)
        self._tree = TileBuilder(size, rows)
        self._cleaned = size
        self._full: dict[str, bytes] = {}
        self._unsynced: set[str] = set()

    @property
    def size(self) -> int:
        """Entries in the tree, with those that were appended but not flushed."""
        return self._tree.size

    def append(self, hashes: Iterable[bytes]) -> None:
        """Add leaf hashes. Memory does not grow with their number: full tiles are written as they come, not yet
        durably.

        :raises OSError: a tile can't be written.
        """
        for digest in hashes:
            for level, number, data in self._tree.append(digest):
                self._full[tile_path(level, number)] = data
            if len(self._full) >= _PENDING:
                self._write_full()

    def root(self) -> bytes:
        """Return the root of the tree, 32 bytes."""
        return self._tree.root()

    def flush(self) -> None:
        """Write all full and partial tiles of the tree durably.

        :raises OSError: a tile can't be written; calling again goes on.
        """
        self._write_full()
        for level, number, data in self._tree.partial():
            self._write(tile_path(level, number, len(data) // HASH_SIZE), data)
        for folder in sorted(self._unsynced):
            fsync_directory(folder)
        self._unsynced.clear()

    def _write_full(self) -> None:
        for path in list(self._full):
            self._write(path, self._full[path])
            del self._full[path]

    def _write(self, path: str, data: bytes) -> None:
        full = os.path.join(self.directory, path)
        if read_bytes(full) == data:
            self._sync(full)  # maybe left by a crash before its fsync
            return
        folder = os.path.dirname(full)
        make_private_directory(folder)
        write_atomic(full, data, durable=False)
        self._sync(full)

    def _sync(self, full: str) -> None:
        descriptor = os.open(full, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._unsynced.add(os.path.dirname(full))

    def clean(self) -> int:
        """Remove partial tiles of older sizes and what a crash left beyond this size; return how many files went.

        Only for a size that is committed. Not made durable: what comes back after a power loss does no harm.
        """
        gone = 0
        size, levels = self.size, self._cleaned
        level = 0
        while level == 0 or levels or size:
            last = size // TILE_WIDTH
            for number in sorted(
                {max(0, levels // TILE_WIDTH - 1) // 1000, levels // TILE_WIDTH // 1000, last // 1000}
            ):
                gone += self._clean_folder(level, number, last, size % TILE_WIDTH)
            size, levels = size // TILE_WIDTH, levels // TILE_WIDTH
            level += 1
        self._cleaned = self.size
        return gone

    def _clean_folder(self, level: int, thousand: int, last: int, width: int) -> int:
        """Clean the folder with the tiles ``[thousand * 1000, (thousand + 1) * 1000)`` of a level."""
        folder = os.path.dirname(os.path.join(self.directory, tile_path(level, thousand * 1000)))
        gone = 0
        try:
            names = os.listdir(folder)
        except FileNotFoundError:
            return 0
        for name in names:
            digits = name[:3]
            if name.startswith(".") and name.endswith(".new"):  # of a writer that was killed
                os.unlink(os.path.join(folder, name))
            if not digits.isdigit() or name[3:] not in ("", ".p"):
                continue
            number = thousand * 1000 + int(digits)
            path = os.path.join(folder, name)
            if not name.endswith(".p"):
                if number >= last:
                    os.unlink(path)
                    gone += 1
                continue
            for part in os.listdir(path):
                if number != last or part != str(width):
                    os.unlink(os.path.join(path, part))
                    gone += 1
            if number != last or not width:
                os.rmdir(path)
        return gone
