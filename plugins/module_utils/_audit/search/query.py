# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What people ask of the trail: filters, points in time, words, JMESPath; parsed here, answered by the index.

:meth:`Filters.matches` answers for one record without an index, as ``toolkit audit tail`` needs it. The index gives the
same answer in SQL.
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from ..._core.errors import DependencyError, ValidationError

try:
    import jmespath

    HAS_JMESPATH = True
except ImportError:
    HAS_JMESPATH = False

__all__ = [
    "FIELDS",
    "Filters",
    "Term",
    "field_values",
    "filters_of",
    "folded",
    "globs",
    "has_wildcard",
    "jmespath_filter",
    "parse_text",
    "parse_time",
    "searchable_strings",
    "words_of",
]

FIELDS = ("run", "event", "script", "user", "host", "status", "module", "path", "controller")
"""What can be filtered by and is indexed. ``host`` is the managed host, ``controller`` where Ansible ran."""

_IN_DETAILS = ("host", "status", "module", "path")
_AGO = re.compile(r"(\d{1,6})\s*([smhdw])", re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_TERM = re.compile(r'(-?)(?:"([^"]*)"?|(\S+))')
_WORD = re.compile(r"[^\W_]+")
_NOT_SEARCHED = frozenset(("task_id", "task_path"))
_DEPTH = 16


def parse_time(text: str, end: bool = False, now: float | None = None) -> int:
    """Return the point in time that ``text`` means, in milliseconds since 1970 (UTC).

    ``2026-01-02``, ``2026-01-02T03:04:05.678Z``, with an offset, or without (UTC); ``90s``, ``15m``, ``2h``, ``3d``,
    ``1w`` (so long ago); ``now``, ``today``, ``yesterday``.

    :param end: as the end of a range a whole day means its end.
    :param now: seconds since 1970, ``None`` for the clock's.
    :raises ValidationError: it is none of these.
    """
    now = time.time() if now is None else now
    word = text.strip()
    ago = _AGO.fullmatch(word)
    if ago:
        return round((now - int(ago[1]) * _UNITS[ago[2]]) * 1000)
    if word == "now":
        return round(now * 1000)
    if word in ("today", "yesterday"):
        today = datetime.fromtimestamp(now, timezone.utc).date()
        word = (today - timedelta(days=word == "yesterday")).isoformat()
    try:
        moment = datetime.fromisoformat(word[:-1] + "+00:00" if word.endswith(("Z", "z")) else word)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        if end and _DAY.fullmatch(word):
            moment += timedelta(days=1)
        return round((moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) / timedelta(milliseconds=1))
    except (ValueError, OverflowError):
        raise ValidationError(
            f"{text!r} is not a point in time.",
            hint="Write 2026-01-02, 2026-01-02T03:04:05Z (UTC), 15m, 2h, 3d, 1w (so long ago), today or yesterday.",
        ) from None


def has_wildcard(pattern: str) -> bool:
    """Return whether ``*`` or ``?`` stands in ``pattern``."""
    return "*" in pattern or "?" in pattern


def globs(name: str, pattern: str) -> list[str]:
    """Return the patterns (``*`` and ``?`` are wildcards) of which a value of the field must match one.

    A script may be given without its directory, a module without its collection, a run by the beginning or
    the end of its id, and a path with ``/`` at its end means everything below it.
    """
    if name == "run":
        return [pattern.lower()] if has_wildcard(pattern) else [pattern.lower() + "*", "*" + pattern.lower()]
    if name == "event":
        return [pattern.upper().replace("-", "_")]
    if name == "script" and "/" not in pattern:
        return [pattern, "*/" + pattern]
    if name == "module" and "." not in pattern:
        return [pattern, "*." + pattern]
    if name == "path" and pattern.endswith("/"):
        return [pattern + "*"]
    return [pattern]


def _regular_expression(pattern: str) -> re.Pattern:
    translated = "".join({"*": ".*", "?": "."}.get(part, re.escape(part)) for part in pattern)
    return re.compile(translated, re.DOTALL)


@dataclass(frozen=True)
class Term:
    """A word or phrase that must (not) occur: ``words`` one after the other, the last one a prefix if ``prefix``."""

    words: tuple[str, ...]
    prefix: bool = False
    negative: bool = False


def parse_text(text: str) -> list[Term]:
    """Return the terms of a free text: ``word``, ``"a phrase"``, ``begin*``, ``-not``. All must hold.

    :raises ValidationError: there is no word in it.
    """
    terms = []
    for minus, phrase, word in _TERM.findall(text):
        parts = tuple(_WORD.findall(phrase or word))
        if parts:
            terms.append(Term(parts, not phrase and word.endswith("*"), bool(minus)))
    if not terms:
        raise ValidationError(f"There is no word to look for in {text!r}.", hint="Words have letters or digits.")
    return terms


def folded(text: str) -> str:
    """Return ``text`` in lower case and without diacritics."""
    if text.isascii():
        return text.lower()
    plain = "".join(part for part in unicodedata.normalize("NFD", text) if not unicodedata.combining(part))
    return plain.lower()


def words_of(texts: Iterable[str]) -> list[str]:
    """Return the words of ``texts`` in order as they are compared: letters and digits, lower case, no diacritics."""
    return _WORD.findall(folded("\n".join(texts)))


def _occurs(term: Term, words: list[str]) -> bool:
    wanted = [folded(word) for word in term.words]
    size = len(wanted)
    for start in range(len(words) - size + 1):
        if words[start : start + size - 1] == wanted[:-1]:
            last = words[start + size - 1]
            if last == wanted[-1] or (term.prefix and last.startswith(wanted[-1])):
                return True
    return False


def searchable_strings(record: Mapping) -> list[str]:
    """Return the texts of a record in which free text is looked for: the strings in its details (no ids, not where the
    task stands), the hosts at the end of a run, and the script and command line of its start and end."""
    details = record.get("details")
    found: list[str] = []
    if isinstance(details, dict):
        _strings(details, found, 0)
    if record.get("event_type") in ("EXECUTION_START", "EXECUTION_END", "INTERRUPTED"):
        found += [text for text in (record.get("script"), record.get("command_line")) if isinstance(text, str)]
        hosts = details.get("hosts") if isinstance(details, dict) else None
        if isinstance(hosts, dict):
            found += hosts
    return found


def _strings(value: object, found: list[str], depth: int) -> None:
    if isinstance(value, dict):
        for key, entry in value.items():
            if isinstance(entry, str):
                if key not in _NOT_SEARCHED:
                    found.append(entry)
            elif depth < _DEPTH and isinstance(entry, (dict, list)):
                _strings(entry, found, depth + 1)
    elif isinstance(value, list):
        for entry in value:
            if isinstance(entry, str):
                found.append(entry)
            elif depth < _DEPTH and isinstance(entry, (dict, list)):
                _strings(entry, found, depth + 1)


def field_values(record: Mapping) -> dict[str, str | None]:
    """Return the indexed fields of a record; ``None`` where it has none."""
    details = record.get("details")
    details = details if isinstance(details, dict) else {}
    values = {name: details.get(name) for name in _IN_DETAILS}
    values.update(
        run=record.get("run_id"),
        event=record.get("event_type"),
        script=record.get("script"),
        user=record.get("user"),
        controller=record.get("hostname"),
    )
    return {name: value if isinstance(value, str) else None for name, value in values.items()}


@dataclass(frozen=True)
class Filters:
    """Which entries are wanted. All fields must hold, of the patterns of one field any.

    :param fields: ``{field: (pattern, ...)}``, see :func:`globs`.
    :param since: milliseconds since 1970, inclusive; ``until`` exclusive.
    :param terms: see :func:`parse_text`.
    """

    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    since: int | None = None
    until: int | None = None
    terms: tuple[Term, ...] = ()

    def matches(self, record: Mapping, milliseconds: int) -> bool:
        """Return whether a record of that time is wanted."""
        if self.since is not None and milliseconds < self.since:
            return False
        if self.until is not None and milliseconds >= self.until:
            return False
        values = field_values(record)
        for name, patterns in self.fields.items():
            value = values[name]
            if value is None:
                return False
            wanted = [glob for pattern in patterns for glob in globs(name, pattern)]
            if not any(_regular_expression(glob).fullmatch(value) for glob in wanted):
                return False
        if self.terms:
            words = words_of(searchable_strings(record))
            return all(_occurs(term, words) != term.negative for term in self.terms)
        return True


def filters_of(options: Mapping[str, object], now: float | None = None) -> Filters:
    """Return the filters from options named like :data:`FIELDS` (a string or a list of strings each), ``since``,
    ``until`` and ``text``.

    :raises ValidationError: a time or the text can't be understood.
    """
    fields = {}
    for name in FIELDS:
        given = options.get(name)
        patterns = tuple(str(part) for part in ([given] if isinstance(given, str) else given or ()) if str(part))
        if patterns:
            fields[name] = patterns
    since, until, text = (options.get(name) for name in ("since", "until", "text"))
    return Filters(
        fields=fields,
        since=parse_time(str(since), now=now) if since else None,
        until=parse_time(str(until), end=True, now=now) if until else None,
        terms=tuple(parse_text(str(text))) if text else (),
    )


def jmespath_filter(expression: str | None) -> Callable[[object], bool] | None:
    """Return a function that says whether the JMESPath expression (https://jmespath.org) holds for some details.

    It holds where the result is not false, null or empty. Where a function gets a value of a wrong type, it does not.

    :raises ValidationError: it is no such expression.
    :raises DependencyError: the library is missing.
    """
    if not expression:
        return None
    if not HAS_JMESPATH:
        raise DependencyError("JMESPath needs the Python library jmespath.", hint="pip install jmespath")
    try:
        compiled = jmespath.compile(expression)
    except jmespath.exceptions.JMESPathError as error:
        raise ValidationError(
            f"{expression!r} is not a JMESPath expression: {error}.", hint="Such as rc != `0` && contains(msg, 'disk')."
        ) from None

    def holds(details: object) -> bool:
        try:
            found = compiled.search(details)
        except jmespath.exceptions.JMESPathError:
            return False
        return found is not None and found is not False and found != "" and found != [] and found != {}

    return holds
