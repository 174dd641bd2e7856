# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order of Debian package versions (deb-version(7), "Sorting algorithm")."""

from __future__ import annotations

import fnmatch
import re

__all__ = ["compare_versions", "version_matches"]

_PARTS = re.compile(r"([^0-9]*)([0-9]*)")


def _weight(text: str) -> list[int]:
    """Return the sort key of a part without digits: a tilde before its end, letters before all the rest."""
    weights = [-1 if char == "~" else ord(char) if char.isalpha() else ord(char) + 256 for char in text]
    return [*weights, 0]


def _key(text: str) -> list[tuple[list[int], int]]:
    return [(_weight(words), int(digits or 0)) for words, digits in _PARTS.findall(text)]


def _split(version: str) -> tuple[int, str, str]:
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, _rest, revision = rest.rpartition("-")
    if not upstream:
        upstream, revision = rest, "0"
    return int(epoch) if epoch.isdigit() else 0, upstream, revision


def compare_versions(one: str, other: str) -> int:
    """Return -1, 0 or 1 as ``one`` is earlier than, the same as or later than ``other``."""
    first, second = _split(one), _split(other)
    for left, right in zip(first, second):
        low, high = (left, right) if isinstance(left, int) else (_key(left), _key(right))
        if low != high:
            return -1 if low < high else 1
    return 0


def version_matches(version: str, wanted: str) -> bool:
    """Return whether ``version`` is the one wanted, or matches it where that is a pattern such as ``1.22*``."""
    return version == wanted or ("*" in wanted and fnmatch.fnmatchcase(version, wanted))
