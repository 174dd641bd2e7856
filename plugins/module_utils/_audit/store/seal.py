# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The seal: tree and signed checkpoint over what the log has committed.

Both are derived: after a crash the tree goes on from the newest checkpoint with the entries that it does not cover.
Only where the checkpoint itself or its right edge is damaged is the tree built anew; what was there is kept aside and
the repair is recorded.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator

from ..._core.errors import DependencyError, IntegrityError
from ..._core.files import fsync_directory, read_bytes
from ..proof.checkpoint import CHECKPOINT_NAME, Checkpoint, parse, sign
from ..proof.keys import Keyring
from ..proof.tiles import TILE_DIRECTORY, TileReader, TreeWriter
from . import recovery
from .journal import make_private_directory
from .segments import blocks
from .state import State, replace_file, store_state

__all__ = ["Seal", "leaf_hashes"]

_ERASED = b'{"erased":"'
_LOST = b'{"event_type":"LOST"'
_SCRATCH = ".rebuild"
_MOST_LOST = 10_000_000
_MOST_NOTED = 1 << 17  # of one very large commit; the rest is read again


def leaf_hashes(
    directory: str, start: int, stop: int, known: Callable[[int], bytes] | None = None
) -> Iterator[list[bytes]]:
    """Yield the leaf hashes of the entries ``start`` to before ``stop`` in lists.

    An erased entry has the hash that its line names. Of pruned and lost entries only ``known`` can tell it.

    :raises IntegrityError: an entry is missing, or nobody knows its hash.
    """
    index = start
    for first, lines in blocks(directory, start, stop, _ignore if known else None):
        if first > index:
            yield _known(known, range(index, first))
        hashes = [hashlib.sha256(b"\0" + line).digest() for line in lines]
        for at, line in enumerate(lines):
            if line.startswith(_ERASED):
                hashes[at] = _erased_hash(line) or hashes[at]
            elif line.startswith(_LOST) and known is not None:
                with contextlib.suppress(
                    IntegrityError
                ):  # lost before it was in the tree: the placeholder is the entry
                    hashes[at] = known(first + at)
        yield hashes
        index = first + len(lines)
    if index < stop:
        yield _known(known, range(index, stop))


def _ignore(_first: int, _stop: int) -> None:
    """What is missing is asked for elsewhere."""


def _known(known: Callable[[int], bytes] | None, indexes: range) -> list[bytes]:
    if known is None:
        raise IntegrityError(f"The hashes of the entries {indexes.start} to {indexes.stop - 1} are gone.")
    return [known(index) for index in indexes]


def _erased_hash(line: bytes) -> bytes | None:
    try:
        return bytes.fromhex(json.loads(line)["erased"])
    except (ValueError, KeyError, TypeError):
        return None


class Seal:
    """Keeps tree and checkpoint up with the log; the holder of its lock uses it.

    :param state: the committed state; repairs found here are added to it.
    :param warn: called when there can be no checkpoint.
    """

    def __init__(self, directory: str, state: State, active: int, warn: Callable[[str], object]) -> None:
        self.directory = directory
        self.events: list[tuple[str, dict]] = []
        self._state = state
        self._warn = warn
        self._path = os.path.join(directory, CHECKPOINT_NAME)
        self._tree: TreeWriter | None = None
        self._hashes: list[bytes] = []
        self._first = 0
        self._signed = 0
        self._ring = Keyring(directory)
        try:
            self._signers = self._ring.signers()
            self.events = self._ring.pending()
            self._open(active)
        except DependencyError as error:
            self._give_up(f"The log is kept without a signed checkpoint: {error.message}")
        except Exception as error:  # pylint: disable=broad-exception-caught # the entries come first, whatever it is
            self._give_up(f"The log is kept, but its checkpoint can't be brought up to date: {error}")

    def _give_up(self, text: str) -> None:
        self._tree = None
        self._hashes.clear()
        self.events = []
        self._warn(text)

    @property
    def covered(self) -> int:
        """How many entries the newest checkpoint covers."""
        return self._signed

    @property
    def noted(self) -> int:
        """How many hashes wait for :meth:`take`."""
        return len(self._hashes)

    def note(self, first: int, lines: list[bytes]) -> None:
        """Hash lines that were appended, the first of them as entry ``first``."""
        if self._tree is None:
            return
        if not self._hashes:
            self._first = first
        if first == self._first + len(self._hashes) and len(self._hashes) < _MOST_NOTED:
            self._hashes += [hashlib.sha256(b"\0" + line).digest() for line in lines]

    def take(self) -> None:
        """Put what was noted, and is committed by now, into the tree."""
        if self._tree is None:
            return
        try:
            if self._hashes:
                self._catch_up(self._first)
                self._tree.append(self._hashes)
                self._hashes.clear()
            self._catch_up(self._state.entries)  # what was not noted
        except Exception as error:  # pylint: disable=broad-exception-caught # as above
            self._give_up(f"The log is kept, but its tree can't be brought up to date: {error}")

    def _catch_up(self, size: int) -> None:
        for hashes in leaf_hashes(self.directory, self._tree.size, size):
            self._tree.append(hashes)

    def finish(self) -> bool:
        """Write tiles and checkpoint for the committed entries; return whether there is a new one."""
        if self._tree is None or not self._state.entries:
            return False
        self.take()
        try:
            if self._tree is not None and self._signed == self._state.entries:
                self._tree.clean()  # a crash may have come just before that
                return False
            if self._tree is None:
                return False
            self._tree.flush()
            head = Checkpoint(self._ring.origin, self._tree.size, self._tree.root())
            replace_file(self._path, sign(head, self._signers))
            self._signed = self._state.sealed = head.size
            self._tree.clean()
            self._ring.settle()
        except Exception as error:  # pylint: disable=broad-exception-caught # as above
            self._give_up(f"The log is kept, but its checkpoint can't be written: {error}")
            return False
        return True

    def _open(self, active: int) -> None:
        """Load the right edge of the tree under the newest checkpoint, or build the tree anew."""
        data, head, reason = read_bytes(self._path), None, ""
        if data is not None:
            try:
                head = parse(data, self._ring.verifiers())
            except IntegrityError as error:
                reason = error.message
        elif self._state.sealed:
            reason = "There is no checkpoint any more."
        try:
            tree = TreeWriter(self.directory, head.size if head else 0)
            if head and tree.root() != head.root:
                reason = "The tiles do not have the root of the checkpoint."
        except IntegrityError as error:
            reason = error.message
        if not reason and head and head.size > self._state.entries:
            if head.size - self._state.entries > _MOST_LOST:
                reason = "The checkpoint has more entries than the log."
            else:
                recovery.pad_lost(self.directory, active, self._state, head.size, "The checkpoint has more entries.")
        if reason:
            self._rebuild(reason, data, head)
            return
        self._tree = tree
        self._signed = self._state.sealed = head.size if head else 0

    def _rebuild(self, reason: str, data: bytes | None, head: Checkpoint | None) -> None:
        """Build the tree from the entries, and from old tiles for those that are gone, beside the old one; then take
        the old one away.

        :raises IntegrityError: the hash of an entry is gone; everything is as before then.
        """
        readers = [TileReader(path, size) for path, size in recovery.tile_directories(self.directory, self._state)]

        def known(index: int) -> bytes:
            for reader in readers:
                with contextlib.suppress(IntegrityError):
                    return reader.leaf(index)
            raise IntegrityError(f"The hash of entry {index} is gone.")

        scratch = os.path.join(self.directory, _SCRATCH)
        shutil.rmtree(scratch, ignore_errors=True)
        tree = TreeWriter(scratch, 0)
        size = min(head.size if head else self._state.sealed, self._state.entries)
        details = {"repair": "tree", "reason": reason, "size": size, "kept": []}
        for hashes in leaf_hashes(self.directory, 0, size, known):
            tree.append(hashes)
        if head is not None:
            details["same_root"] = head.size == size and tree.root() == head.root
        for hashes in leaf_hashes(self.directory, size, self._state.entries, known):
            tree.append(hashes)
        make_private_directory(os.path.join(scratch, TILE_DIRECTORY))
        tree.flush()
        if data is not None:
            details["kept"].append(recovery.keep_aside(self.directory, CHECKPOINT_NAME, data))
        self._state.repairs.append(details)
        store_state(self.directory, self._state)
        moved = recovery.move_aside(self.directory, TILE_DIRECTORY)
        if moved:
            details["kept"].append(moved)
        os.rename(os.path.join(scratch, TILE_DIRECTORY), os.path.join(self.directory, TILE_DIRECTORY))
        os.rmdir(scratch)
        fsync_directory(self.directory)
        tree.directory = self.directory
        self._tree = tree
