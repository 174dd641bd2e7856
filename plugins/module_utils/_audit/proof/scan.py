# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a part of the log for its verification: a closed segment, or a range of bytes of the active one.

:func:`scan` takes and returns only what can be sent to another process, so parts are read by several at once. Memory
does not grow with the length of a part, but for 32 bytes a tile.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ..._core.errors import ConflictError, IntegrityError
from .tiles import HASH_SIZE, TILE_BYTES, TILE_WIDTH, TileReader, tile_path, tile_root

__all__ = ["OWN_EVENTS", "PLACEHOLDER", "Part", "Scanned", "leaves_of", "scan", "split"]

OWN_EVENTS = ("SEGMENT_CLOSED", "ENTRY_ERASED", "LOG_PRUNED", "LOG_REPAIRED", "KEY_ADDED", "KEY_RETIRED")
"""The entries that verification reads, whatever else it does."""

PLACEHOLDER = re.compile(rb'\{"erased":"([0-9a-f]{64})","event_type":"ERASED","index":(0|[1-9][0-9]*)\}')
"""The line that stands for an erased entry; its hash is in the tree."""

LOST = re.compile(rb'\{"event_type":"LOST","index":(0|[1-9][0-9]*)\}')
"""The line that a repair puts in the place of an entry that is gone; its hash is in the tiles."""

_SPECIAL = re.compile(rb'"event_type":"(?:' + "|".join((*OWN_EVENTS, "ERASED", "LOST")).encode("ascii") + rb')"')
_NAMES_BLOB = re.compile(rb'_blob":\{"bytes":')
_BLOCK = 1 << 20
_PACKED_BLOCK = 1 << 18
_PART_BYTES = 16 << 20
_MAX_TOLD = 20

_sha256 = hashlib.sha256
_DECODE = json.JSONDecoder().decode


@dataclass(frozen=True)
class Part:
    """What one call of :func:`scan` reads.

    :param directory: of the log.
    :param path: the file; ``inode`` what it must be still.
    :param name: how the file is called in messages.
    :param first: index of the first entry.
    :param stop: index behind the last entry that counts; ``None`` for all that are there.
    :param start: offset of the first byte; ``end`` that behind the last one, ``None`` for a compressed file.
    :param size: of the tree that the tiles on disk belong to.
    :param heads: sizes of trees that end inside the part and are no multiple of 256.
    :param parse: look whether every line is a record.
    """

    directory: str
    path: str
    name: str
    inode: tuple[int, int]
    first: int
    stop: int | None
    start: int = 0
    end: int | None = None
    size: int = 0
    heads: tuple[int, ...] = ()
    parse: bool = True


@dataclass
class Scanned:
    """What was found in a part.

    :param entries: how many lines it has, at most those that count.
    :param roots: one hash of 32 bytes for each whole tile; ``rest`` the leaf hashes behind the last one.
    :param differ: numbers of tiles on disk that are missing or hold other hashes than the lines give.
    :param heads: by size of a tree, the leaf hashes of its last tile.
    :param events: ``(index, event_type, details)`` of the log's own entries.
    :param erased: ``(index, leaf hash in hex)`` of placeholders.
    :param lost: indexes of entries that are gone.
    :param blobs: ``(index, name)`` of the side blobs that entries name.
    :param types: how many entries there are of each event type, where lines were parsed.
    :param no_records: indexes of the first lines that are no record; ``no_record_count`` how many there are.
    :param digests: of a compressed file: ``sha256`` and ``bytes`` of its content, ``sha256_gz`` of itself.
    :param broken: why it can't be read to its end.
    """

    part: Part
    entries: int = 0
    roots: bytearray = field(default_factory=bytearray)
    rest: bytes = b""
    differ: list[int] = field(default_factory=list)
    heads: dict[int, bytes] = field(default_factory=dict)
    events: list[tuple[int, str, dict]] = field(default_factory=list)
    erased: list[tuple[int, str]] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    blobs: list[tuple[int, str]] = field(default_factory=list)
    types: Counter = field(default_factory=Counter)
    no_records: list[int] = field(default_factory=list)
    no_record_count: int = 0
    digests: dict = field(default_factory=dict)
    broken: str = ""


def split(whole: Part) -> list[Part]:
    """Return the parts of the active segment, which begin at multiples of 256 and have about 16 MB each."""
    descriptor = os.open(whole.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        end = min(whole.end or 0, os.fstat(descriptor).st_size)
        parts, begin, index, start, offset = [], whole.first, whole.first, 0, 0
        while offset < end and index < (whole.stop or 0):
            data = os.pread(descriptor, min(_BLOCK, end - offset), offset)
            count = data.count(b"\n")
            if offset + len(data) - start >= _PART_BYTES and count > TILE_WIDTH:
                at, wanted = -1, TILE_WIDTH - (index % TILE_WIDTH)
                for _line in range(wanted):
                    at = data.index(b"\n", at + 1)
                parts.append(replace(whole, first=begin, stop=None, start=start, end=offset + at + 1))
                begin, start = index + wanted, offset + at + 1
            index += count
            offset += len(data)
        return [*parts, replace(whole, first=begin, start=start, end=end)]
    finally:
        os.close(descriptor)


def _packed_lines(descriptor: int, result: Scanned) -> Iterator[tuple[bytes, list[bytes]]]:
    plain, packed = _sha256(), _sha256()
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
    rest, size, data = b"", 0, b""
    try:
        while not inflate.eof:
            data = inflate.unconsumed_tail
            if not data:
                data = os.read(descriptor, _PACKED_BLOCK)
                if not data:
                    result.broken = "it ends too early"
                    break
                packed.update(data)
            block = inflate.decompress(data, _BLOCK)
            plain.update(block)
            size += len(block)
            block = rest + block
            lines = block.split(b"\n")
            rest = lines.pop()
            yield block, lines
        if inflate.unused_data:
            result.broken = "bytes follow its end"
    except zlib.error as error:
        result.broken = f"it can't be decompressed: {error}"
    while True:
        data = os.read(descriptor, _PACKED_BLOCK)
        if not data:
            break
        result.broken = result.broken or "bytes follow its end"
        packed.update(data)
    if rest:
        result.broken = result.broken or "its last line has no end"
    result.digests = {"sha256": plain.hexdigest(), "sha256_gz": packed.hexdigest(), "bytes": size}


def _plain_lines(descriptor: int, part: Part, result: Scanned) -> Iterator[tuple[bytes, list[bytes]]]:
    rest, offset, end = b"", part.start, part.end or 0
    while offset < end:
        block = os.pread(descriptor, min(_BLOCK, end - offset), offset)
        if not block:
            break
        offset += len(block)
        block = rest + block
        lines = block.split(b"\n")
        rest = lines.pop()
        yield block, lines
    if rest:
        result.broken = "its last line has no end"


def _blocks(part: Part, result: Scanned) -> Iterator[tuple[bytes, list[bytes]]]:
    """Yield blocks of bytes with their whole lines, at most as many as count.

    :raises ConflictError: the file is another one than before.
    """
    try:
        descriptor = os.open(part.path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ConflictError(f"{part.name} was moved while it was verified.") from None
    try:
        found = os.fstat(descriptor)
        if (found.st_dev, found.st_ino) != part.inode:
            raise ConflictError(f"{part.name} was replaced while it was verified.")
        source = _packed_lines(descriptor, result) if part.end is None else _plain_lines(descriptor, part, result)
        left = None if part.stop is None or part.end is None else part.stop - part.first
        for block, lines in source:
            if left is not None:
                if len(lines) > left:
                    lines = lines[:left]
                left -= len(lines)
            if lines:
                yield block, lines
            if left == 0:
                result.broken = ""
                return
    finally:
        os.close(descriptor)


def scan(part: Part) -> Scanned:
    """Read a part, hash it and compare it with its tiles.

    :raises ConflictError: its file was replaced meanwhile; begin again.
    """
    result = Scanned(part)
    index = part.first
    row = bytearray()
    heads = list(part.heads)
    for block, lines in _blocks(part, result):
        leaves = [_sha256(b"\x00" + line).digest() for line in lines]
        if _SPECIAL.search(block):
            _take_own(result, index, lines, leaves)
        if _NAMES_BLOB.search(block):
            _take_blobs(result, index, lines)
        if part.parse:
            _parse(result, index, lines)
        row += b"".join(leaves)
        index += len(lines)
        at = 0
        while len(row) - at >= TILE_BYTES:
            data = bytes(row[at : at + TILE_BYTES])
            number = (part.first + result.entries) // TILE_WIDTH
            _take_heads(result, heads, number, data)
            result.roots += tile_root(data)
            if not _same_tile(part.directory, number, data):
                result.differ.append(number)
            result.entries += TILE_WIDTH
            at += TILE_BYTES
        del row[:at]
    _take_heads(result, heads, (part.first + result.entries) // TILE_WIDTH, bytes(row))
    result.rest = bytes(row)
    result.entries += len(row) // HASH_SIZE
    return result


def leaves_of(part: Part) -> bytearray:
    """Return the leaf hashes of all lines of a part, 32 bytes each; for the search after a difference was found."""
    result = Scanned(part)
    index = part.first
    found = bytearray()
    for block, lines in _blocks(part, result):
        leaves = [_sha256(b"\x00" + line).digest() for line in lines]
        if _SPECIAL.search(block):
            _take_own(result, index, lines, leaves)
        found += b"".join(leaves)
        index += len(lines)
    return found


def _take_heads(result: Scanned, heads: list[int], number: int, data: bytes) -> None:
    while heads and heads[0] <= number * TILE_WIDTH + len(data) // HASH_SIZE:
        size = heads.pop(0)
        result.heads[size] = data[: (size - number * TILE_WIDTH) * HASH_SIZE]


def _same_tile(directory: str, number: int, data: bytes) -> bool:
    try:
        with open(os.path.join(directory, tile_path(0, number)), "rb") as handle:
            return handle.read(TILE_BYTES + 1) == data
    except OSError:
        return False


def _take_own(result: Scanned, first: int, lines: list[bytes], leaves: list[bytes]) -> None:
    """Note the log's own entries, and put the hashes that placeholders stand for in the place of their own."""
    for at, line in enumerate(lines):
        if not _SPECIAL.search(line):
            continue
        lost = LOST.fullmatch(line)
        if lost:
            result.lost.append(first + at)
            try:
                leaves[at] = TileReader(result.part.directory, result.part.size).leaf(first + at)
            except IntegrityError:
                pass  # then the tile is reported
            continue
        erased = PLACEHOLDER.fullmatch(line)
        if erased:
            if int(erased[2]) == first + at:
                leaves[at] = bytes.fromhex(erased[1].decode("ascii"))
                result.erased.append((first + at, erased[1].decode("ascii")))
            continue
        try:
            record = json.loads(line)
            event, details = record["event_type"], record["details"]
        except (ValueError, KeyError, TypeError):
            continue
        if event in OWN_EVENTS and not record.get("run_id") and isinstance(details, dict):
            result.events.append((first + at, event, details))


def _take_blobs(result: Scanned, first: int, lines: list[bytes]) -> None:
    for at, line in enumerate(lines):
        if not _NAMES_BLOB.search(line):
            continue
        try:
            details = _DECODE(line.decode("utf-8"))["details"].items()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
        for key, value in details:  # only what the callback puts there itself, not what a result has inside
            if key.endswith("_blob") and isinstance(value, dict) and isinstance(value.get("sha256"), str):
                result.blobs.append((first + at, value["sha256"]))


def _parse(result: Scanned, first: int, lines: list[bytes]) -> None:
    types, decode = result.types, _DECODE
    for at, line in enumerate(lines):
        try:
            types[decode(line.decode("utf-8"))["event_type"]] += 1
        except (ValueError, KeyError, TypeError, RecursionError):
            result.no_record_count += 1
            if len(result.no_records) < _MAX_TOLD:
                result.no_records.append(first + at)
