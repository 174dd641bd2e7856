# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The index as everybody uses it: opens the right kind, brings it up to date, answers, repairs itself."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

from ...._core.errors import NotFoundError, PermissionDenied, UnavailableError, ValidationError
from ..query import FIELDS, Filters, globs
from .catch_up import catch_up
from .rows import COLUMNS, record_of, time_of
from .source import Source
from .sqlite import INDEX_NAME, SqliteStore, is_damage

__all__ = ["Index", "Page", "is_dsn"]

_PAGE = 1000
_CACHE = 1000
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_LAST = re.compile(r"last(?:~(\d{1,6}))?")

Result = TypeVar("Result")


class Page(NamedTuple):
    """Entries in order, and the cursor of the next page; ``None`` when this is the last."""

    entries: list[dict]
    cursor: str | None


def is_dsn(where: str) -> bool:
    """Return whether ``where`` names a PostgreSQL database and not a file."""
    return where.startswith(("postgresql://", "postgres://")) or bool(re.match(r"(host|dbname|service)=", where))


class Index:
    """The index of the trail in ``directory``; a context manager.

    :param where: a file (default: ``index.sqlite`` in the directory), or the DSN of a PostgreSQL database.
    :raises NotFoundError: there is no trail.
    :raises PermissionDenied: the file may not be made there.
    :raises UnavailableError: another process builds it anew, or the server does not answer.
    """

    def __init__(self, directory: str, where: str | None = None) -> None:
        self.directory = directory
        self.warnings: list[str] = []
        self._source = Source(directory)
        self._events: dict[int, str] = {}
        self._contexts: dict[int, str] = {}
        self._local = os.path.isdir(directory)
        if where and is_dsn(where):
            from .postgresql import PostgresqlStore  # its library takes longer to load than a search takes

            self.store: Any = PostgresqlStore(where, directory)
            return
        if not self._local:
            raise NotFoundError(
                f"There is no audit trail in {directory}.",
                hint="Name its directory, or enable the callback scripts.toolkit.audit and run a playbook.",
            )
        path = os.path.abspath(os.path.expanduser(where)) if where else os.path.join(directory, INDEX_NAME)
        try:
            self.store = SqliteStore(path)
        except (PermissionError, sqlite3.OperationalError) as error:
            raise PermissionDenied(
                f"The index {path} can't be written: {getattr(error, 'strerror', None) or error}.",
                hint="Keep it elsewhere: --index FILE, option index, or $SCRIPTS_TOOLKIT_AUDIT_INDEX.",
            ) from None

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_error: object) -> None:
        self.store.close()

    def _safely(self, work: Callable[[], Result]) -> Result:
        """Call ``work``; where the file turns out to be damaged, build it anew and call it again."""
        try:
            return work()
        except sqlite3.DatabaseError as error:
            if not is_damage(error) or not isinstance(self.store, SqliteStore):
                raise UnavailableError(f"The index does not work: {error}.") from None
        self.warnings.append("The index was damaged and has been built anew.")
        self._forget()
        self.store.rebuild()
        catch_up(self.store, self._source)
        return work()

    def _forget(self) -> None:
        self._events.clear()
        self._contexts.clear()

    def rebuild(self) -> None:
        """Throw the index away; :meth:`catch_up` makes it anew."""
        self._forget()
        self.store.rebuild()

    def catch_up(self, progress: Callable[[int, int], object] | None = None) -> int:
        """Index what is new in the trail and return how many entries that were.

        A segment that is missing or can't be read is left out; ``warnings`` then says which.
        """
        if not self._local:
            return 0
        added = 0

        def work() -> None:
            nonlocal added
            added = catch_up(self.store, self._source, progress)
            self.store.settle()

        self._safely(work)
        damage, self._source.damage = self._source.damage, []
        for text in dict.fromkeys(damage):
            hint = "toolkit audit verify says more; index anew when it is restored (--rebuild)."
            self.warnings.append(f"The index is incomplete. {text} {hint}")
        self._forget()
        return added

    # Questions.

    def search(
        self,
        filters: Filters,
        limit: int = 100,
        cursor: str | None = None,
        newest: bool = True,
        holds: Callable[[object], bool] | None = None,
    ) -> Page:
        """Return a page of entries: records with ``index``, the position in the log (``None``: still in a journal).

        :param holds: asked about the details of every entry that the index finds.
        :raises ValidationError: the cursor is none.
        """
        found: list[tuple[int, dict]] = []
        filters = self._named(filters)
        for number, entry in self._numbered(filters, _number(cursor) if cursor else None, newest, limit + 1):
            if holds is None or holds(entry["details"]):
                found.append((number, entry))
                if len(found) > limit:
                    break
        more = len(found) > limit
        found = found[:limit]
        return Page([entry for _number, entry in found], _cursor(found[-1][0]) if more and found else None)

    def each(
        self, filters: Filters, newest: bool = False, holds: Callable[[object], bool] | None = None
    ) -> Iterator[dict]:
        """Yield all entries that match, by default the oldest first; memory use does not grow with their number."""
        for _number, entry in self._numbered(self._named(filters), None, newest, _PAGE):
            if holds is None or holds(entry["details"]):
                yield entry

    def _numbered(self, filters: Filters, after: int | None, newest: bool, size: int) -> Iterator[tuple[int, dict]]:
        size = min(max(size, 1), _PAGE)
        while True:
            rows = self._safely(partial(self._rows, filters, after, newest, size))
            for row in rows:
                yield row[0], self._entry(row)
            if len(rows) < size:
                return
            after = rows[-1][0]
            size = _PAGE

    def _rows(self, filters: Filters, after: int | None, newest: bool, limit: int) -> list[tuple]:
        selection = self.store.select(filters, after, newest, limit)
        return list(self.store.query(selection.sql, selection.values)) if selection.sql else []

    def _entry(self, row: tuple) -> dict:
        number, position, event, context, details, salt = row
        salt = salt.hex() if isinstance(salt, bytes) else salt
        event, context = self._text(self._events, "word", event), self._text(self._contexts, "context", context)
        record = record_of(number, event, context, details, salt)
        record["index"] = position
        return record

    def _text(self, known: dict[int, str], table: str, number: int) -> str:
        found = known.get(number)
        if found is None:
            if len(known) >= _CACHE:
                known.clear()
            found = next(iter(self.store.query(f"SELECT text FROM {table} WHERE id = ?", (number,))))[0]
            known[number] = found
        return found

    def count(self, filters: Filters) -> int:
        """Return how many entries match."""
        filters = self._named(filters)

        def work() -> int:
            selection = self.store.select(filters, found="count(*)")
            return sum(row[0] for row in self.store.query(*selection)) if selection.sql else 0

        return self._safely(work)

    def counts(self, field: str, filters: Filters) -> dict[str | None, int]:
        """Return how many matching entries there are for each value of a field, the most frequent first."""
        column, filters = COLUMNS[FIELDS.index(field)], self._named(filters)

        def work() -> dict[str | None, int]:
            selection = self.store.select(filters, found=f"e.id, e.{column} AS word")
            if not selection.sql:
                return {}
            sql = f"SELECT s.word, count(*) FROM ({selection.sql}) s GROUP BY s.word"
            numbers = dict(self.store.query(sql, selection.values))
            texts = {
                number: None
                if number is None
                else next(iter(self.store.query("SELECT text FROM word WHERE id = ?", (number,))))[0]
                for number in numbers
            }
            order = sorted(numbers, key=lambda number: (-numbers[number], texts[number] or ""))
            return {texts[number]: numbers[number] for number in order}

        return self._safely(work)

    def span(self, filters: Filters) -> tuple[int, int] | None:
        """Return the times (milliseconds) of the first and last entry that match; ``None`` when there is none."""
        filters = self._named(filters)
        first = self._safely(lambda: self._rows(filters, None, False, 1))
        last = self._safely(lambda: self._rows(filters, None, True, 1))
        return (time_of(first[0][0]), time_of(last[0][0])) if first and last else None

    def _named(self, filters: Filters) -> Filters:
        """Return the filters with the ids of runs that are given by their place, such as ``last``."""
        runs = filters.fields.get("run", ())
        if not any(_LAST.fullmatch(run) for run in runs):
            return filters
        known = tuple(self.run(run) if _LAST.fullmatch(run) else run for run in runs)
        return replace(filters, fields={**filters.fields, "run": known})

    def run(self, name: str) -> str:
        """Return the id of a run from the beginning or end of it, or from ``last``, ``last~1`` (the one before), ...

        :raises NotFoundError: there is none.
        :raises ValidationError: several runs are called so.
        """
        last = _LAST.fullmatch(name)
        if last:
            number = int(last[1] or 0)
            started = self.search(Filters({"event": ("EXECUTION_START",)}), limit=number + 1).entries
            if len(started) <= number:
                raise NotFoundError(f"There is no run {name}.", hint=f"The trail has {len(started)} runs.")
            return started[number]["run_id"]
        found = [
            word for glob in globs("run", name) for word in self._safely(partial(self.store.words, 0, glob, 6)) if word
        ]
        found = sorted(set(found))
        if not found or not name:
            hint = "toolkit audit search --event EXECUTION_START lists the runs."
            raise NotFoundError(f"There is no run {name!r} in the trail.", hint=hint)
        if len(found) > 1 and name.lower() not in found:
            shown = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
            raise ValidationError(f"Several runs are called {name!r}: {shown}.", hint="Write more of the id.")
        return name.lower() if name.lower() in found else found[0]


def _cursor(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"


def _number(cursor: str) -> int:
    if not re.fullmatch(r"[0-9a-z]{1,13}", cursor) or int(cursor, 36) >= 1 << 63:
        raise ValidationError(f"{cursor!r} is not a cursor.", hint="It is what the page before ended with.")
    return int(cursor, 36)
