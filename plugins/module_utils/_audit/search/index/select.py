# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters to SQL for SQLite: which index to walk, decided by how many entries every word has.

Every index of a column gives its rows in order of time, so the first page of a search costs a page, however many rows
match. What else is asked for is checked row by row, so the index with the fewest entries is walked; for a pattern that
matches several words their index ranges are merged. SQLite's own planner would sort in these cases. Other conditions
that few entries meet are worked out beforehand as sets of ids: testing an id is cheaper than fetching its row.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from ..query import FIELDS, Filters, Term, globs, has_wildcard
from .rows import COLUMNS, first_id

__all__ = ["FOUND", "Selection", "id_range", "match_expression", "select"]

FOUND = "e.id, e.position, e.event, e.context, e.details, e.salt"

_MERGED = 50
_SORTED = 20000
_RARE = 2000
_SET = 50000
_EVERYTHING = (1 << 63) - 1


class Selection(NamedTuple):
    """A statement and its values, or ``sql`` empty where nothing can match."""

    sql: str
    values: tuple


class _Column(NamedTuple):
    name: str
    words: list[int]
    entries: int


def id_range(filters: Filters, after: int | None = None, newest: bool = True) -> tuple[int, int]:
    """Return the first and last id that can match; ``after`` is the last one of the page before."""
    low = 0 if filters.since is None else first_id(filters.since)
    high = _EVERYTHING if filters.until is None else first_id(filters.until) - 1
    if after is not None and newest:
        high = min(high, after - 1)
    elif after is not None:
        low = max(low, after + 1)
    return low, high


def match_expression(terms: Sequence[Term]) -> str:
    """Return the FTS5 query (https://www.sqlite.org/fts5.html) for terms that must all hold, taken as positive ones."""
    return " AND ".join('"' + " ".join(term.words) + '"' + ("*" if term.prefix else "") for term in terms)


def _columns(database: sqlite3.Connection, filters: Filters) -> list[_Column] | None:
    """Return the columns that are filtered by with the words that match; ``None`` where none does."""
    found = []
    for kind, (field, column) in enumerate(zip(FIELDS, COLUMNS)):
        words: dict[int, int] = {}
        for pattern in filters.fields.get(field, ()):
            for glob in globs(field, pattern):
                operator, value = ("GLOB", glob.replace("[", "[[]")) if has_wildcard(glob) else ("=", glob)
                sql = f"SELECT id, entries FROM word WHERE kind = ? AND text {operator} ?"
                words.update(database.execute(sql, (kind, value)))
        if filters.fields.get(field):
            if not words:
                return None
            found.append(_Column(column, sorted(words), sum(words.values())))
    return sorted(found, key=lambda column: (column.entries, len(column.words)))


def _one_of(column: _Column, indexed: bool) -> tuple[str, tuple]:
    """Return the condition that the column has one of its words; the planner may use an index only if ``indexed``."""
    name = f"e.{column.name}" if indexed else f"+e.{column.name}"
    if len(column.words) == 1:
        return f"{name} = ?", (column.words[0],)
    return f"{name} IN (SELECT value FROM json_each(?))", (json.dumps(column.words),)


def select(
    database: sqlite3.Connection,
    filters: Filters,
    after: int | None = None,
    newest: bool = True,
    limit: int | None = None,
    found: str = FOUND,
) -> Selection:
    """Return the statement that gives the entries that match in order of time.

    :param after: id of the last entry of the page before.
    :param found: what is selected of the entries, ``e``.
    """
    columns = _columns(database, filters)
    low, high = id_range(filters, after, newest)
    if columns is None or low > high:
        return Selection("", ())
    positive = match_expression([term for term in filters.terms if not term.negative])
    conditions, values = ["e.id BETWEEN ? AND ?"], [low, high]
    for term in filters.terms:
        if term.negative:
            conditions.append("NOT EXISTS (SELECT 1 FROM entry_text t WHERE t.entry_text MATCH ? AND t.rowid = e.id)")
            values.append(match_expression([term]))
    direction = "DESC" if newest else "ASC"
    tail = "" if limit is None else f" LIMIT {int(limit)}"
    way = _way(database, columns, positive, low, high) if positive else ""
    if way == "text":
        for column in columns:
            condition, words = _one_of(column, indexed=False)
            conditions.append(condition)
            values += words
        return Selection(
            f"SELECT {found} FROM entry_text t CROSS JOIN entry e ON e.id = t.rowid WHERE t.entry_text MATCH ?"
            f" AND t.rowid BETWEEN ? AND ? AND {' AND '.join(conditions)} ORDER BY t.rowid {direction}{tail}",
            (positive, low, high, *values),
        )
    if way == "set":
        conditions.append("e.id IN (SELECT t.rowid FROM entry_text t WHERE t.entry_text MATCH ?)")
        values.append(positive)
    elif way:
        conditions.append("EXISTS (SELECT 1 FROM entry_text t WHERE t.entry_text MATCH ? AND t.rowid = e.id)")
        values.append(positive)
    for column in columns[1:]:
        if columns[0].entries >= _RARE and column.entries <= _SET and len(column.words) == 1:
            index = f"entry o INDEXED BY entry_{column.name}"
            condition, words = f"e.id IN (SELECT o.id FROM {index} WHERE o.{column.name} = ?)", (column.words[0],)
        else:
            condition, words = _one_of(column, indexed=False)
        conditions.append(condition)
        values += words
    order = f" ORDER BY 1 {direction}{tail}"
    rest = " AND ".join(conditions)
    if not columns:
        return Selection(f"SELECT {found} FROM entry e WHERE {rest}{order}", tuple(values))
    first = columns[0]
    walked = f"SELECT {found} FROM entry e INDEXED BY entry_{first.name} WHERE"
    if len(first.words) <= _MERGED:
        parts = [f"{walked} e.{first.name} = ? AND {rest}" for _word in first.words]
        merged = tuple(value for word in first.words for value in (word, *values))
        return Selection(" UNION ALL ".join(parts) + order, merged)
    few = first.entries <= _SORTED
    condition, words = _one_of(first, indexed=few)
    source = walked if few else f"SELECT {found} FROM entry e WHERE"
    return Selection(f"{source} {condition} AND {rest}{order}", (*words, *values))


def _way(database: sqlite3.Connection, columns: list[_Column], positive: str, low: int, high: int) -> str:
    """Return how to combine a text with columns: walk the ``text``, or the rarest column and either look each of its
    entries up in the ``set`` of those with the text, or ``probe`` the full text for each."""
    if not columns:
        return "text"
    found = "SELECT 1 FROM entry_text t WHERE t.entry_text MATCH ? AND t.rowid BETWEEN ? AND ? LIMIT ?"
    (texts,) = database.execute(f"SELECT count(*) FROM ({found})", (positive, low, high, _SET)).fetchone()
    rarest = columns[0].entries
    if texts < min(_RARE, rarest):
        return "text"
    if texts < _SET:
        return "set" if rarest <= 10 * texts else "text"
    return "probe" if rarest <= _SORTED else "text"
