# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Merkle tree of RFC 6962 (https://www.rfc-editor.org/rfc/rfc6962#section-2.1) with SHA-256.

A *node* ``(level, number)`` is the hash of the complete subtree over the leaves
``[number * 2**level, (number + 1) * 2**level)``. Whoever can give nodes (tiles can) gets roots and proofs from here;
the checks follow RFC 9162, sections 2.1.3.2 and 2.1.4.2, and need nothing but their arguments.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

from ..._core.errors import IntegrityError, ValidationError

__all__ = [
    "EMPTY_ROOT",
    "Frontier",
    "consistency_proof",
    "inclusion_proof",
    "leaf_hash",
    "node_hash",
    "range_nodes",
    "root_hash",
    "subtree_hash",
    "verify_consistency",
    "verify_inclusion",
]


EMPTY_ROOT = hashlib.sha256().digest()
"""The root of a tree without leaves."""

_sha256 = hashlib.sha256


def leaf_hash(line: bytes) -> bytes:
    """Return the 32 bytes that stand for an entry (its line without the newline) in the tree."""
    return _sha256(b"\x00" + line).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node over its two children."""
    return _sha256(b"\x01" + left + right).digest()


class Frontier:
    """The few nodes that the root of a growing tree needs: one for each bit of its size.

    :param size: leaves of the tree so far.
    :param node: gives its nodes; not needed for an empty tree.
    """

    def __init__(self, size: int = 0, node: Callable[[int, int], bytes] | None = None) -> None:
        self.size = size
        self._nodes: list[tuple[int, bytes]] = []
        if size:
            self._nodes = [(level, node(level, number)) for level, number in range_nodes(0, size)]

    def append(self, digest: bytes, level: int = 0) -> None:
        """Add the next leaf, or with ``level`` the next complete subtree of ``2**level`` leaves.

        :raises ValidationError: the tree's size is no multiple of that.
        """
        if self.size & ((1 << level) - 1):
            raise ValidationError(f"A subtree of level {level} can't follow {self.size} leaves.")
        self.size += 1 << level
        nodes = self._nodes
        while nodes and nodes[-1][0] == level:
            digest = node_hash(nodes.pop()[1], digest)
            level += 1
        nodes.append((level, digest))

    def root(self, rest: Iterable[bytes] = ()) -> bytes:
        """Return the root of the tree; with ``rest``, of the tree with these further subtrees, largest first."""
        return _fold([digest for _level, digest in self._nodes] + list(rest))


def _fold(digests: Sequence[bytes]) -> bytes:
    """Return the root over subtrees that become smaller from left to right."""
    if not digests:
        return EMPTY_ROOT
    root = digests[-1]
    for digest in reversed(digests[:-1]):
        root = node_hash(digest, root)
    return root


def root_hash(leaves: Iterable[bytes]) -> bytes:
    """Return the root over leaf hashes."""
    frontier = Frontier()
    for digest in leaves:
        frontier.append(digest)
    return frontier.root()


def range_nodes(start: int, end: int) -> list[tuple[int, int]]:
    """Return the nodes ``(level, number)`` whose subtrees cover the leaves ``[start, end)``, largest first.

    ``start`` is 0 or a multiple of a power of two that is not smaller than ``end - start``, as it always is where RFC
    6962 splits a tree.
    """
    nodes, at = [], start
    for level in range((end - start).bit_length() - 1, -1, -1):
        if (end - start) >> level & 1:
            nodes.append((level, at >> level))
            at += 1 << level
    return nodes


def subtree_hash(start: int, end: int, node: Callable[[int, int], bytes]) -> bytes:
    """Return the Merkle tree hash of the leaves ``[start, end)``; for ``start`` see :func:`range_nodes`."""
    return _fold([node(level, number) for level, number in range_nodes(start, end)])


def _split(size: int) -> int:
    """Return the largest power of two that is smaller than ``size`` (at least 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_proof(index: int, size: int, node: Callable[[int, int], bytes]) -> list[bytes]:
    """Return the proof that the leaf ``index`` is in the tree of ``size`` leaves: hashes from the leaf's sibling up.

    :raises ValidationError: the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise ValidationError(f"A tree of {size} entries has no entry {index}.")
    ranges, start, end = [], 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return [subtree_hash(first, last, node) for first, last in reversed(ranges)]


def consistency_proof(old: int, new: int, node: Callable[[int, int], bytes]) -> list[bytes]:
    """Return the proof that the tree of ``old`` leaves is the beginning of the tree of ``new`` leaves.

    :raises ValidationError: ``old`` is not between 0 and ``new``.
    """
    if not 0 <= old <= new:
        raise ValidationError(f"A tree of {new} entries does not begin with one of {old}.")
    if old in (0, new):
        return []
    ranges, start, end = [], 0, new
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start:
        ranges.append((start, end))
    return [subtree_hash(first, last, node) for first, last in reversed(ranges)]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that ``leaf`` (a leaf hash) is entry ``index`` of the tree with ``size`` leaves and this root.

    :raises IntegrityError: it is not, or the proof does not show it.
    """
    wrong = IntegrityError(f"The proof does not show that the entry is number {index} of {size}.")
    if not 0 <= index < size:
        raise wrong
    number, last, digest = index, size - 1, leaf
    for step in proof:
        if not last:
            raise wrong
        if number & 1 or number == last:
            digest = node_hash(step, digest)
            while not number & 1 and number:
                number >>= 1
                last >>= 1
        else:
            digest = node_hash(digest, step)
        number >>= 1
        last >>= 1
    if last or digest != root:
        raise wrong


def verify_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree of ``old`` leaves with ``old_root`` is the beginning of that of ``new`` with ``new_root``.

    :raises IntegrityError: it is not, or the proof does not show it.
    """
    wrong = IntegrityError(f"The proof does not show that {new} entries begin with the {old} entries of before.")
    if not 0 <= old <= new:
        raise wrong
    if old in (0, new):
        if proof or old_root != (new_root if old else EMPTY_ROOT):
            raise wrong
        return
    steps = list(proof)
    if not old & (old - 1):
        steps.insert(0, old_root)
    if not steps:
        raise wrong
    number, last = old - 1, new - 1
    while number & 1:
        number >>= 1
        last >>= 1
    first = second = steps[0]
    for step in steps[1:]:
        if not last:
            raise wrong
        if number & 1 or number == last:
            first, second = node_hash(step, first), node_hash(step, second)
            while not number & 1 and number:
                number >>= 1
                last >>= 1
        else:
            second = node_hash(second, step)
        number >>= 1
        last >>= 1
    if last or first != old_root or second != new_root:
        raise wrong
