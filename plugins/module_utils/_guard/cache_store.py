# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file of the cache: results and what is told of them, in SQLite."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from .._core.durable import Durable
from .._core.errors import IntegrityError
from .cache_encoding import label

__all__ = ["LIMIT", "CacheStore", "Entry"]

LIMIT = 64 << 20
"""Bytes that all results together may have."""

_SLEW_SECONDS = 1.0
"""A clock that is corrected may go back so far; what seems to be of a later time than that is of no use."""

_SCHEMA = (
    # The result comes last: SQLite then reads nothing of it where only the columns before are asked for.
    """CREATE TABLE entry(
        key TEXT PRIMARY KEY, module TEXT NOT NULL, host TEXT NOT NULL, name TEXT NOT NULL,
        stored REAL NOT NULL, ttl REAL NOT NULL, size INTEGER NOT NULL, used INTEGER NOT NULL, hits INTEGER NOT NULL,
        digest BLOB NOT NULL, result TEXT NOT NULL)""",
    "CREATE INDEX entry_used ON entry(used, size, stored, ttl)",
    "CREATE TABLE invalidation(count INTEGER NOT NULL)",
    "INSERT INTO invalidation VALUES (0)",
)
_STALE = "(stored + ttl <= :now OR stored > :now + :slew)"
_WIPE = "PRAGMA secure_delete=ON"
"""Overwrite what is removed with zeros."""

_NEXT_USE = "(SELECT coalesce(max(used), 0) + 1 FROM entry)"


@dataclass(frozen=True)
class Entry:
    """What is told of a result; ``age`` and ``ttl`` in seconds, ``size`` in bytes with what is told of it."""

    key: str
    module: str
    host: str
    name: str
    age: float
    ttl: float
    size: int
    hits: int
    fresh: bool


class CacheStore:
    """The results in ``directory``, which is made when something is asked for.

    Its methods raise what :class:`Durable` raises.

    :param now: the time in seconds since 1970.
    :param limit: bytes that all results together may have.
    """

    def __init__(self, directory: str, now: Callable[[], float], limit: int = LIMIT) -> None:
        self._durable = Durable(os.path.join(directory, "cache.sqlite"), _SCHEMA)
        self._now = now
        self._limit = limit

    def exists(self) -> bool:
        """Return whether anything was ever kept here."""
        return self._durable.exists()

    def close(self) -> None:
        """Release the file; it can be used again afterwards."""
        self._durable.close()

    def find(self, key: str, ttl: float) -> tuple[tuple[str, float] | None, int]:
        """Return a fresh result and its age, or ``None``, and how often anything was invalidated.

        A result is fresh while it is younger than both ``ttl`` and the ttl with which it was stored.

        :raises IntegrityError: the result is not what was stored.
        """
        with self._durable.reading() as database:
            (count,) = database.execute("SELECT count FROM invalidation").fetchone()
            row = database.execute("SELECT stored, ttl, digest, result FROM entry WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None, count
        stored, its_ttl, digest, text = row
        age = self._now() - stored
        if age < -_SLEW_SECONDS or age >= min(ttl, its_ttl):
            return None, count
        if digest != _digest(text):
            raise IntegrityError(
                f"{self._durable.path}: a result in it is damaged.", hint="Move it away; it is made anew."
            )
        return (text, max(age, 0.0)), count

    def count_hit(self, key: str) -> None:
        """Note that a result was used."""
        with self._durable.transaction() as database:
            database.execute(f"UPDATE entry SET hits = hits + 1, used = {_NEXT_USE} WHERE key = ?", (key,))

    def put(self, key: str, text: str, ttl: float, about: Mapping, count: int) -> bool:
        """Keep a result, and remove what has expired or, the least recently used first, is too much.

        :param count: how often anything had been invalidated when the computation began. More since then may have meant
            this result, so it is not kept.
        :return: whether it is kept.
        """
        told = [label(about.get(name, "")) for name in ("module", "host", "name")]
        size = sum(len(part.encode("utf-8")) for part in (key, text, *told))
        with self._durable.transaction() as database:
            database.execute(_WIPE)
            if database.execute("SELECT count FROM invalidation").fetchone() != (count,):
                return False
            database.execute(f"DELETE FROM entry WHERE key IN (SELECT key FROM entry WHERE {_STALE})", self._moment())
            database.execute(
                f"INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, {_NEXT_USE}, 0, ?, ?)",
                (key, *told, self._now(), ttl, size, _digest(text), text),
            )
            self._evict(database)
        return True

    def _evict(self, database: sqlite3.Connection) -> None:
        (total,) = database.execute("SELECT sum(size) FROM entry").fetchone()
        if total <= self._limit:
            return
        gone = []
        for row, size in database.execute("SELECT rowid, size FROM entry ORDER BY used"):
            if total <= self._limit:
                break
            gone.append((row,))
            total -= size
        database.executemany("DELETE FROM entry WHERE rowid = ?", gone)

    def entries(self) -> Iterator[Entry]:
        """Yield what is told of all results, the most recently used first."""
        with self._durable.reading() as database:
            yield from self._entries(database)

    def result(self, key: str) -> str:
        """Return the text of a result that :meth:`entries` told of, that of an empty one where it has gone since."""
        with self._durable.reading() as database:
            row = database.execute("SELECT result FROM entry WHERE key = ?", (key,)).fetchone()
        return row[0] if row else "{}"

    def remove(self, choose: Callable[[Iterator[Entry]], Iterable[str]], invalidate: bool) -> None:
        """Remove the results whose keys ``choose`` returns when it gets all entries, and their bytes from the file.

        :param invalidate: what is being computed at this moment is not kept either.
        """
        with self._durable.transaction() as database:
            database.execute(_WIPE)
            keys = [(key,) for key in choose(self._entries(database))]
            database.executemany("DELETE FROM entry WHERE key = ?", keys)
            if invalidate:
                database.execute("UPDATE invalidation SET count = count + 1")
        self._durable.flush()

    def _entries(self, database: sqlite3.Connection) -> Iterator[Entry]:
        moment = self._moment()
        rows = database.execute(
            f"SELECT key, module, host, name, stored, ttl, size, hits, NOT {_STALE} FROM entry ORDER BY used DESC",
            moment,
        )
        for key, module, host, name, stored, ttl, size, hits, fresh in rows:
            age = max(moment["now"] - stored, 0.0)
            yield Entry(key, module, host, name, age, ttl, size, hits, bool(fresh))

    def _moment(self) -> dict:
        return {"now": self._now(), "slew": _SLEW_SECONDS}


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("ascii")).digest()
