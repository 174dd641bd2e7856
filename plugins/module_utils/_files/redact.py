# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep secrets out of what a validator says about the files it was given."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["MASK", "redact"]

MASK = "********"
_WORD = re.compile(r"[^\W_]{3,}")


def redact(output: str, secret: Iterable[bytes], known: Iterable[str]) -> str:
    """Return ``output`` with every word masked that occurs in the ``secret`` contents or has a word of them in it.

    A word is a run of three or more letters and digits: validators print parts of lines, cut at any character. Words
    that occur in ``known`` texts (paths, the validator's own argument list) are shown, or nothing could be read.
    """
    haystack = "\n".join(data.decode("utf-8", "replace") for data in secret)
    if not haystack:
        return output
    shown = {word for text in known for word in _WORD.findall(text)}

    tokens = {word for word in _WORD.findall(haystack) if word not in shown}

    def mask(match: re.Match) -> str:
        word = match.group()
        if word in shown or not (word in haystack or any(token in word for token in tokens)):
            return word
        return MASK

    return _WORD.sub(mask, output)
