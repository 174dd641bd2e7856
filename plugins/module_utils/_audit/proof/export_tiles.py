# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The log in the layout of tlog-tiles (https://c2sp.org/tlog-tiles), for tools of others or a web server.

Beside checkpoint and tiles, ``tile/entries/<N>`` holds the entries in bundles of 256, each after its length (two bytes,
big-endian). ``log.vkeys`` has the keys, which is no part of the specification.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from ..._core.errors import ConflictError, IntegrityError, NotFoundError
from ..._core.files import fsync_directory, read_bytes, write_atomic
from ..store.journal import make_private_directory
from ..store.segments import blocks
from ..store.state import load_state
from .checkpoint import CHECKPOINT_NAME, parse_text, parse_with_note
from .keys import Keyring
from .merkle import leaf_hash
from .scan import PLACEHOLDER
from .tiles import HASH_SIZE, TILE_WIDTH, TileReader, tile_path

__all__ = ["KEYS_NAME", "export_tiles"]

KEYS_NAME = "log.vkeys"
_MAX_ENTRY = 65535


def export_tiles(directory: str, target: str, progress: Callable[[int, int], object] | None = None) -> dict:
    """Write the log as of its newest checkpoint below ``target``; an export that is there already is continued.

    Every entry is compared with its tile on the way. The bundle of an erased entry holds its placeholder, which does
    not hash to what the tile has.

    :param progress: called with the number of entries done and that of all.
    :return: ``origin``, ``size``, ``minimum`` (first entry that is there), ``bundles`` and ``tiles`` (written now) and
        ``erased`` (indexes).
    :raises NotFoundError: the log has no checkpoint.
    :raises ConflictError: ``target`` holds another log, or a longer one.
    :raises IntegrityError: the log is damaged.
    """
    note = read_bytes(os.path.join(directory, CHECKPOINT_NAME))
    if note is None:
        raise NotFoundError(f"The log in {directory} has no signed checkpoint.")
    verifiers = Keyring(directory).verifiers()
    head, _note = parse_with_note(note, verifiers)
    state = load_state(directory)
    minimum = min(state.minimum, head.size) if state else 0
    before = _exported(target, head.origin, head.size)
    reader = TileReader(directory, head.size)
    told = {"origin": head.origin, "size": head.size, "minimum": minimum, "bundles": 0, "tiles": 0, "erased": []}
    make_private_directory(target)
    start = max(minimum, before - before % TILE_WIDTH)
    for first, lines in _bundles(directory, start, head.size):
        _check_lines(reader, first, lines, told["erased"])
        data = b"".join(len(line).to_bytes(2, "big") + line for line in lines)
        _write(target, tile_path("entries", first // TILE_WIDTH, len(lines)), data)
        told["bundles"] += 1
        if progress is not None:
            progress(first + len(lines) - minimum, head.size - minimum)
    level = 0
    while head.size >> (8 * level):
        count = head.size >> (8 * level)
        for number in range((start >> (8 * level)) // TILE_WIDTH, -(-count // TILE_WIDTH)):
            width = reader.width(level, number)
            _write(target, tile_path(level, number, width), reader.tile(level, number))
            told["tiles"] += 1
        level += 1
    keys = "".join(f"{verifier.vkey}\n" for verifier in verifiers).encode()
    write_atomic(os.path.join(target, KEYS_NAME), keys)
    write_atomic(os.path.join(target, CHECKPOINT_NAME), note)  # last: what it covers is there
    return told


def _exported(target: str, origin: str, size: int) -> int:
    """Return how many entries an earlier export has."""
    data = read_bytes(os.path.join(target, CHECKPOINT_NAME))
    if data is None:
        if os.path.isdir(target) and os.listdir(target):
            raise ConflictError(f"{target} is not empty and no export.", hint="Name a new directory.")
        return 0
    head = parse_text(data.rpartition(b"\n\n")[0] + b"\n")
    if head.origin != origin or head.size > size:
        raise ConflictError(f"{target} holds {head.size} entries of {head.origin}.", hint="Name a new directory.")
    return head.size


def _bundles(directory: str, start: int, size: int) -> Iterator[tuple[int, list[bytes]]]:
    first, waiting = start, []
    for _index, lines in blocks(directory, start, size):
        waiting += lines
        while len(waiting) >= TILE_WIDTH:
            yield first, waiting[:TILE_WIDTH]
            del waiting[:TILE_WIDTH]
            first += TILE_WIDTH
    if waiting:
        yield first, waiting


def _check_lines(reader: TileReader, first: int, lines: list[bytes], erased: list[int]) -> None:
    data = reader.tile(0, first // TILE_WIDTH)
    for at, line in enumerate(lines):
        if len(line) > _MAX_ENTRY:
            raise IntegrityError(f"Entry {first + at} has {len(line)} bytes; a bundle takes {_MAX_ENTRY}.")
        digest = data[at * HASH_SIZE : (at + 1) * HASH_SIZE]
        if leaf_hash(line) == digest:
            continue
        holder = PLACEHOLDER.fullmatch(line)
        if holder is None or bytes.fromhex(holder[1].decode("ascii")) != digest:
            hint = "toolkit audit verify says what is wrong."
            raise IntegrityError(f"Entry {first + at} does not have the hash in its tile.", hint=hint)
        erased.append(first + at)


def _write(target: str, path: str, data: bytes) -> None:
    full = os.path.join(target, path)
    make_private_directory(os.path.dirname(full))
    if read_bytes(full) != data:
        write_atomic(full, data, durable=False)
        fsync_directory(os.path.dirname(full))
