# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a line of the log to a row of the index, and back to the record.

What is the same in every line of a run and playbook (the context) is kept once. A row's id is its time, so that every
index of a column, and the full text, gives its rows in order of time: the milliseconds since 1970 in the upper bits and
the entry's position in the log in the lower twenty.
"""

from __future__ import annotations

import calendar
import json
import time
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from ..query import FIELDS, field_values, searchable_strings

__all__ = ["COLUMNS", "ERASED", "LOW_BITS", "Row", "RowMaker", "first_id", "record_of", "row_id", "stamp", "time_of"]

COLUMNS = tuple("account" if name == "user" else name for name in FIELDS)
"""The columns of :data:`query.FIELDS`; ``user`` is a reserved word of SQL."""

LOW_BITS = 20
ERASED = "ERASED"
_LOW = (1 << LOW_BITS) - 1
_LATEST = (1 << (63 - LOW_BITS)) - 1
_PER_LINE = ("details", "event_type", "salt", "timestamp")
_CONTEXTS = 64
_REPLACEMENT = "\ufffd"

_dumps = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


class Row(NamedTuple):
    """One entry: ``values`` in the order of ``query.FIELDS``, ``context`` and ``details`` as JSON, ``texts`` for the
    full text. ``position`` is the index in the log, ``None`` for a line that is still in its journal only."""

    milliseconds: int
    position: int | None
    context: str
    values: tuple
    details: str
    salt: str
    texts: list


def row_id(milliseconds: int, position: int) -> int:
    """Return the id of the entry at ``position`` of that time."""
    return milliseconds << LOW_BITS | position & _LOW


def first_id(milliseconds: int) -> int:
    """Return the smallest id of that time; times that no id can have become the nearest ones."""
    return min(max(milliseconds, 0), _LATEST + 1) << LOW_BITS if milliseconds <= _LATEST else (1 << 63) - 1


def time_of(number: int) -> int:
    """Return the milliseconds since 1970 of a row's id."""
    return number >> LOW_BITS


def stamp(milliseconds: int) -> str:
    """Return the time as it stands in the log."""
    seconds, rest = divmod(milliseconds, 1000)
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"


class RowMaker:
    """Makes rows from lines; remembers the last contexts and seconds, so that equal ones are encoded once."""

    def __init__(self) -> None:
        self._second = ""
        self._seconds = 0
        self._contexts: dict[tuple, tuple[dict, str]] = {}
        self._latest = 0

    def row(self, line: bytes, position: int | None) -> Row | None:
        """Return the row of a line without its newline; ``None`` for an erased one.

        A line that is no record becomes a row of the event ``UNREADABLE`` at the time of the line before it.
        """
        try:
            record = json.loads(line)
            if record.get("event_type") == ERASED and "erased" in record:
                return None
            if not (isinstance(record["event_type"], str) and isinstance(record["run_id"], str)):
                raise ValueError("no record")
            details = _dumps(record.get("details"))
            if b"\\u" in line:
                record = _clean(record)
                details = details.encode("utf-8", "replace").decode("utf-8")
        except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
            text = line[:1000].decode("utf-8", "replace").replace("\x00", _REPLACEMENT)
            record = {"event_type": "UNREADABLE", "run_id": "", "details": {"line": text}}
            details = _dumps(record["details"])
        milliseconds, exact = self.milliseconds(record.get("timestamp"))
        self._latest = milliseconds
        salt = record.get("salt")
        salt = salt if isinstance(salt, str) else ""
        rest = {name: value for name, value in record.items() if name not in _PER_LINE}
        if not exact and "timestamp" in record:
            rest["timestamp"] = record["timestamp"]
        values = field_values(record)
        return Row(
            milliseconds,
            position,
            self._context(rest, values),
            tuple(values[name] for name in FIELDS),
            details,
            salt,
            searchable_strings(record),
        )

    def _context(self, rest: dict, values: Mapping) -> str:
        key = (values["run"], values["script"])
        known = self._contexts.get(key)
        if known is not None and known[0] == rest:
            return known[1]
        text = _dumps(rest)
        if len(self._contexts) >= _CONTEXTS:
            self._contexts.clear()
        self._contexts[key] = (rest, text)
        return text

    def milliseconds(self, text: object) -> tuple[int, bool]:
        """Return the time that a record states, and whether :func:`stamp` gives the same text again."""
        if not isinstance(text, str):
            return self._latest, False
        try:
            if text[:19] != self._second:
                self._seconds = calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))
                self._second = text[:19]
            if len(text) == 24 and text[19] == "." and text[23] == "Z" and text[20:23].isdecimal() and text.isascii():
                found = self._seconds * 1000 + int(text[20:23])
                return (found, True) if 0 <= found <= _LATEST else (min(max(found, 0), _LATEST), False)
            moment = datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
            return min(max(round(moment.timestamp() * 1000), 0), _LATEST), False
        except (ValueError, OverflowError):
            return self._latest, False


def _clean(value: object) -> object:
    """Return a copy without NUL characters and lone surrogates, which databases refuse."""
    if isinstance(value, str):
        return value.replace("\x00", _REPLACEMENT).encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_clean(key): _clean(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_clean(entry) for entry in value]
    return value


def record_of(number: int, event: str, context: str, details: str, salt: str) -> dict:
    """Return the record that a row was made from."""
    record = json.loads(context)
    record.setdefault("timestamp", stamp(time_of(number)))
    record.update(event_type=event, details=json.loads(details), salt=salt)
    return record
