# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cache as people look after it: what is in it, and what must go."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .._audit.record.redact import Redactor
from .._core.errors import UnsafeError, ValidationError
from .._core.module import text_diff
from .._core.outcomes import Outcomes
from .cache_encoding import decode
from .cache_store import CacheStore, Entry

__all__ = ["SELECTORS", "clean_cache", "look"]

SELECTORS = ("module", "host", "name", "id")
"""By what results are chosen."""

_ID_DIGITS = 16
_MOST_LINES = 50


@dataclass
class _Wish:
    """Results that must go; ``item`` names the wish, ``takes`` says of each entry whether it is meant."""

    item: str
    takes: Callable[[Entry], bool]
    removed: int = 0
    size: int = 0
    lines: list[str] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        self.removed += 1
        self.size += entry.size
        if self.removed <= _MOST_LINES:
            self.lines.append(f"{entry.host} {entry.module} {entry.name}\n")

    @property
    def text(self) -> str:
        more = self.removed - len(self.lines)
        return "".join(self.lines) + (f"and {more} more\n" if more else "")


def clean_cache(
    store: CacheStore, invalidate: Sequence[Mapping] | None, expired: bool, everything: bool, check: bool
) -> Outcomes:
    """Remove results; each counts for the first wish that means it.

    :param invalidate: lists of shell patterns by ``SELECTORS``; of each that is given, one must match.
    :param expired: remove those that are too old.
    :param everything: remove all.
    :param check: only tell what would go.
    :raises ValidationError: nothing is asked for, or what excludes each other.
    :raises UnsafeError: patterns that match everything.
    """
    if everything and invalidate is not None:
        raise ValidationError("all and invalidate exclude each other.", hint="Leave one of them out.")
    if not (everything or expired) and invalidate is None:
        raise ValidationError("Nothing is asked for.", hint="Give one of invalidate, expired, and all.")
    wishes = [_wish(patterns) for patterns in invalidate or ()]
    if everything:
        wishes.append(_Wish("all", lambda _entry: True))
    elif expired:
        wishes.append(_Wish("expired", lambda entry: not entry.fresh))

    def choose(entries: Iterable[Entry]) -> Iterator[str]:
        for entry in entries:
            wish = next((wish for wish in wishes if wish.takes(entry)), None)
            if wish is not None:
                wish.add(entry)
                yield entry.key

    if store.exists():
        if check:
            list(choose(store.entries()))
        else:
            store.remove(choose, invalidate=everything or bool(invalidate))
    outcomes = Outcomes()
    for wish in wishes:
        with outcomes.item(wish.item) as outcome:
            outcome.update(changed=wish.removed > 0, removed=wish.removed, size=wish.size)
            if wish.removed:
                outcomes.diffs.append(text_diff(f"cached results, {wish.item}", wish.text, None))
    return outcomes


def _wish(patterns: Mapping) -> _Wish:
    given = {name: patterns[name] for name in SELECTORS if patterns.get(name) is not None}
    for name, wanted in given.items():
        if not all(wanted):
            raise ValidationError(f"invalidate.{name} has an empty pattern.", hint="Give a pattern, or leave it out.")
    item = " ".join(f"{name}={','.join(wanted)}" for name, wanted in given.items())
    if all(any(not pattern.strip("*?") for pattern in wanted) for wanted in given.values()):
        raise UnsafeError(
            f"invalidate: {item or 'an entry without patterns'} means all results.",
            hint="Set all: true instead if they must all go.",
        )
    return _Wish(item, lambda entry: all(_matches(entry, name, wanted) for name, wanted in given.items()))


def _matches(entry: Entry, name: str, patterns: Sequence[str]) -> bool:
    """Return whether ``entry`` matches any of the ``patterns``, upper and lower case being different."""
    value = _id(entry) if name == "id" else getattr(entry, name)
    return any(fnmatch.fnmatchcase(value, pattern) for pattern in patterns)


def _id(entry: Entry) -> str:
    return entry.key[:_ID_DIGITS]


def look(store: CacheStore, patterns: Mapping[str, Sequence[str]], limit: int, results: bool) -> dict:
    """Return ``entries``, the most recently used first, and their ``totals``.

    :param patterns: by ``SELECTORS`` shell patterns, of which one must match; none match everything.
    :param limit: how many entries at most; the totals are of all that match.
    :param results: with each result, in which is replaced what is known or spelled like a secret.
    """
    if limit < 0:
        raise ValidationError(f"limit={limit} is less than nothing.", hint="Give 0 or more.")
    totals = {"entries": 0, "fresh": 0, "expired": 0, "size": 0, "hits": 0}
    shown: list[Entry] = []
    for entry in store.entries() if store.exists() else ():
        if not all(_matches(entry, name, wanted) for name, wanted in patterns.items() if wanted):
            continue
        totals["entries"] += 1
        totals["fresh" if entry.fresh else "expired"] += 1
        totals["size"] += entry.size
        totals["hits"] += entry.hits
        if len(shown) < limit:
            shown.append(entry)
    told = [_told(entry) for entry in shown]
    if results:
        redactor = Redactor()
        for entry, shows in zip(shown, told):
            shows["result"] = redactor.value(decode(store.result(entry.key)))
    return {"entries": told, "totals": totals}


def _told(entry: Entry) -> dict:
    return {
        "id": _id(entry),
        "module": entry.module,
        "host": entry.host,
        "name": entry.name,
        "age": round(entry.age, 3),
        "ttl": entry.ttl,
        "fresh": entry.fresh,
        "size": entry.size,
        "hits": entry.hits,
    }
