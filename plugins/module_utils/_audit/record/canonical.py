# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Canonical JSON: the one spelling in which a record is written, hashed and compared.

The subset of RFC 8785 (https://www.rfc-editor.org/rfc/rfc8785) that needs no ES6 number formatting: keys are ASCII and
sorted, integers lie within 2^53-1, and what is outside (larger integers, floats, bytes, dates) is a string. So any RFC
8785 implementation gives the same bytes, and so does :func:`json.dumps`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

__all__ = ["SAFE_INTEGER", "cut", "encode", "pieces", "plain"]

SAFE_INTEGER = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly."""

_MAX_DEPTH = 32
_ELLIPSIS = "..."

_dumps = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def _refuse(value: object) -> object:
    raise TypeError(type(value).__name__)


def _in_one_piece(value: object, _level: int) -> tuple[str]:
    return (_dumps(value),)


# JSONEncoder.encode makes one of these for each call; without the first argument it looks for no cycles.
pieces = (
    json.encoder.c_make_encoder(None, _refuse, json.encoder.encode_basestring, None, ":", ",", True, False, False)
    if json.encoder.c_make_encoder
    else _in_one_piece
)
"""``pieces(details, 0)`` returns the canonical JSON of plain details in pieces. Of others it raises TypeError,
ValueError or RecursionError; :func:`encode` takes those."""


def _same(text: str) -> str:
    return text


def _without_surrogates(text: str) -> str:
    """Return ``text`` with paired surrogates joined and lone ones replaced by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _key(key: object) -> str:
    text = str.__str__(key) if isinstance(key, str) else str(key)
    return text if text.isascii() else text.encode("ascii", "backslashreplace").decode("ascii")


def plain(value: object, text: Callable[[str], str] = _same, depth: int = 0) -> object:
    """Return ``value`` built only from dict, list, str, int, bool and None, as the canonical form allows them.

    Subclasses (ansible-core tags its values with some) become the plain type. Deeper than 32 levels becomes a string.

    :param text: called for every string value; masks secrets.
    """
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return text(str.__str__(value))
    if isinstance(value, int):
        number = int(value)
        return number if -SAFE_INTEGER <= number <= SAFE_INTEGER else str(number)
    if isinstance(value, float):
        return repr(float(value))
    if depth >= _MAX_DEPTH:
        return "(nested too deeply)"
    if isinstance(value, Mapping):
        return {_key(key): plain(entry, text, depth + 1) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry, text, depth + 1) for entry in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(entry, text, depth + 1) for entry in value), key=str)
    if isinstance(value, (bytes, bytearray)):
        return text(bytes(value).decode("utf-8", "backslashreplace"))
    return text(str(value))


def encode(details: dict) -> bytes:
    """Return the canonical JSON of ``details`` in UTF-8.

    Values that :func:`plain` would convert are converted. Where a string holds a lone surrogate, it is replaced by
    U+FFFD and ``details`` gets ``surrogates_replaced: true``.
    """
    try:
        return "".join(pieces(details, 0)).encode("utf-8")
    except (TypeError, ValueError, RecursionError):  # UnicodeEncodeError is a ValueError
        clean = plain(details, _without_surrogates)
    if _has_surrogates(details):
        clean["surrogates_replaced"] = True
    return _dumps(clean).encode("utf-8")


def _has_surrogates(value: object, depth: int = 0) -> bool:
    if isinstance(value, str):
        return any("\ud800" <= character <= "\udfff" for character in value)
    if depth >= _MAX_DEPTH:
        return False
    if isinstance(value, Mapping):
        return any(_has_surrogates(entry, depth + 1) for entry in value.values())
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(_has_surrogates(entry, depth + 1) for entry in value)
    return False


def cut(text: str, limit: int) -> str:
    """Return ``text`` itself, or its beginning and ``...``, so that its JSON takes at most ``limit`` bytes
    (quotes not counted; ``limit`` is at least 3)."""
    if len(text) * 6 <= limit:  # the longest JSON escape of one character takes six bytes
        return text
    if _size(text) <= limit:
        return text
    low, high = 0, min(len(text), limit)
    while low < high:
        middle = (low + high + 1) // 2
        if _size(text[:middle]) + len(_ELLIPSIS) <= limit:
            low = middle
        else:
            high = middle - 1
    return text[:low] + _ELLIPSIS


def _size(text: str) -> int:
    return len(_dumps(text).encode("utf-8", "replace")) - 2
