# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What became of the entries of a part whose hashes are not those in the tiles: changed, missing, inserted, moved."""

from __future__ import annotations

from typing import NamedTuple

from .tiles import HASH_SIZE

__all__ = ["Difference", "differences", "spans"]

_LIMIT = 1000


class Difference(NamedTuple):
    """One thing that was done to the entries.

    :param kind: ``changed``, ``missing``, ``inserted``, ``duplicated``, or ``swapped`` with the entry ``other``.
    :param index: of the entry as it was signed; for inserted and duplicated lines, of the one before which they stand.
    :param count: how many neighbouring entries it happened to.
    :param other: of a swap, the other entry; of a duplicate, the entry that it repeats.
    """

    kind: str
    index: int
    count: int = 1
    other: int | None = None

    def __str__(self) -> str:
        last = self.index + self.count - 1
        which = f"entry {self.index}" if self.count == 1 else f"entries {self.index} to {last}"
        lines = "a line" if self.count == 1 else f"{self.count} lines"
        if self.kind == "swapped":
            return f"entries {self.index} and {self.other} have changed places"
        if self.kind == "duplicated":
            return f"{lines} before entry {self.index} repeat{'s' if self.count == 1 else ''} entry {self.other}"
        if self.kind == "inserted":
            return f"{lines} before entry {self.index} {'was' if self.count == 1 else 'were'} not signed"
        if self.kind == "missing":
            return f"{which} {'is' if self.count == 1 else 'are'} missing"
        return f"{which} {'was' if self.count == 1 else 'were'} changed"


def differences(found: bytes, signed: bytes, first: int) -> list[Difference]:
    """Return what was done to a part of the log, in its order; at most 1,000 things.

    :param found: leaf hashes of the lines that are there, 32 bytes each.
    :param signed: leaf hashes that are in the tree.
    :param first: index of the first entry of the part.
    """
    ours, theirs = _split(found), _split(signed)
    at_ours = {digest: at for at, digest in reversed(list(enumerate(ours)))}
    at_theirs = {digest: at for at, digest in reversed(list(enumerate(theirs)))}
    told: list[Difference] = []
    done: set[int] = set()
    line = entry = 0
    while (line < len(ours) or entry < len(theirs)) and len(told) < _LIMIT:
        if line < len(ours) and entry < len(theirs) and ours[line] == theirs[entry]:
            line, entry = line + 1, entry + 1
            continue
        if line in done and entry < len(theirs):
            line, entry = line + 1, entry + 1
            continue
        ahead = at_theirs.get(ours[line], -1) if line < len(ours) else len(theirs)
        behind = at_ours.get(theirs[entry], -1) if entry < len(theirs) else len(ours)
        if entry < len(theirs) and line < len(ours) and ahead > entry and behind - line == ahead - entry:
            told.append(Difference("swapped", first + entry, 1, first + ahead))
            done.add(behind)
            line, entry = line + 1, entry + 1
        elif ahead > entry and (behind < line or ahead - entry <= behind - line):
            told.append(Difference("missing", first + entry, ahead - entry))
            entry = ahead
        elif behind > line:
            told += _added(ours[line:behind], at_theirs, first, entry)
            line = behind
        elif line < len(ours) and entry < len(theirs):
            last = told[-1] if told else None
            if last and last.kind == "changed" and last.index + last.count == first + entry:
                told[-1] = last._replace(count=last.count + 1)
            else:
                told.append(Difference("changed", first + entry))
            line, entry = line + 1, entry + 1
        else:
            break
    return told


def spans(numbers: list[int]) -> str:
    """Return ascending numbers as text, neighbours together.

    >>> spans([1, 2, 3, 7])
    '1 to 3, 7'
    """
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][-1] == number - 1:
            found[-1] = [found[-1][0], number]
        else:
            found.append([number])
    return ", ".join(" to ".join(map(str, span)) for span in found)


def _added(lines: list[bytes], at_theirs: dict[bytes, int], first: int, entry: int) -> list[Difference]:
    told = []
    unknown = sum(digest not in at_theirs for digest in lines)
    if unknown:
        told.append(Difference("inserted", first + entry, unknown))
    repeated = [at_theirs[digest] for digest in lines if digest in at_theirs]
    if repeated:
        told.append(Difference("duplicated", first + entry, len(repeated), first + repeated[0]))
    return told


def _split(data: bytes) -> list[bytes]:
    return [bytes(data[at : at + HASH_SIZE]) for at in range(0, len(data), HASH_SIZE)]
