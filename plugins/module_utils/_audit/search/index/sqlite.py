# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The index in one SQLite file.

WAL, so that searching and catching up do not wait for each other. What the file holds can be made again from the log,
so a damaged file, or one of another version, is thrown away and built anew. Erased text does not stay behind: freed
pages are overwritten (``secure_delete``), the full text is merged, and the write-ahead log emptied.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Sequence

from ...._core.errors import UnavailableError
from ..query import Filters, searchable_strings
from .catch_up import Reached
from .rows import COLUMNS, LOW_BITS, Row, record_of, row_id
from .select import FOUND, Selection, select
from .source import Mark

__all__ = ["INDEX_NAME", "SqliteStore", "is_damage"]

INDEX_NAME = "index.sqlite"
_VERSION = 1
_LOCK_SECONDS = 30
_CACHE = 100_000
_SPARSE = ("host", "status", "module", "path")
_DAMAGE = (
    "malformed",
    "not a database",
    "no such table",
    "no such column",
    "no such index",
    "has no column",
    "corrupt",
)

_SCHEMA = f"""
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE journal(run TEXT PRIMARY KEY, taken INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE word(id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, text TEXT NOT NULL, entries INTEGER NOT NULL);
CREATE UNIQUE INDEX word_text ON word(kind, text);
CREATE TABLE context(id INTEGER PRIMARY KEY, text TEXT NOT NULL, entries INTEGER NOT NULL);
CREATE UNIQUE INDEX context_text ON context(text);
CREATE TABLE entry(
  id INTEGER PRIMARY KEY, position INTEGER, context INTEGER NOT NULL,
  {", ".join(f"{column} INTEGER" for column in COLUMNS)},
  salt BLOB, details TEXT NOT NULL);
CREATE UNIQUE INDEX entry_position ON entry(position) WHERE position IS NOT NULL;
CREATE INDEX entry_pending ON entry(run) WHERE position IS NULL;
{"".join(
    f"CREATE INDEX entry_{column} ON entry({column}){f' WHERE {column} IS NOT NULL' if column in _SPARSE else ''};"
    for column in COLUMNS)}
CREATE VIRTUAL TABLE entry_text USING fts5(text, content='', columnsize=0, tokenize='unicode61');
PRAGMA user_version={_VERSION};
"""  # fmt: skip


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether ``error`` means that the file is damaged, or no index of this version."""
    return any(word in str(error) for word in _DAMAGE)


class SqliteStore:
    """Rows in a SQLite file; see ``catch_up.Store``. Open it in the process that uses it.

    :param path: the file; made with mode 0600.
    :raises OSError: the file can't be made or opened.
    :raises UnavailableError: another process builds it anew.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = -1
        self._inode = 0
        self._words: dict[tuple[int, str], int] = {}
        self._contexts: dict[str, int] = {}
        self._open()

    def _open(self) -> None:
        self._lock = os.open(self.path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._take_lock(fcntl.LOCK_SH)
        try:
            self._connect()
        except sqlite3.DatabaseError as error:
            self.database.close()
            if not is_damage(error):
                raise
            self._remove()
            self._connect()

    def _connect(self) -> None:
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        self._inode = _inode(self.path)
        self.database = sqlite3.connect(self.path, timeout=_LOCK_SECONDS, isolation_level=None)
        run = self.database.execute
        run("PRAGMA page_size=8192")
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=NORMAL")
        run("PRAGMA secure_delete=ON")
        run("PRAGMA cache_size=-65536")
        run("PRAGMA wal_autocheckpoint=4000")
        if run("PRAGMA user_version").fetchone()[0] != _VERSION:
            with self.transaction():
                if run("PRAGMA user_version").fetchone()[0] == _VERSION:
                    return  # another process was faster
                if run("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    raise sqlite3.DatabaseError("not a database of this version")
                for statement in _SCHEMA.split(";"):
                    run(statement)

    def _take_lock(self, kind: int) -> None:
        end = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(self._lock, kind | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > end:
                    raise UnavailableError(
                        f"The index {self.path} is in use by another process.", hint="Try again when it has ended."
                    ) from None
                time.sleep(0.05)

    def _remove(self) -> None:
        """Remove the file while nobody has it open: a late user would remove the write-ahead log of the new one."""
        self._take_lock(fcntl.LOCK_EX)
        if self._inode == _inode(self.path):  # else another process has built it anew already
            for suffix in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.path + suffix)
        self._words.clear()
        self._contexts.clear()
        self._take_lock(fcntl.LOCK_SH)

    def rebuild(self) -> None:
        """Throw the file away and begin an empty one."""
        self.database.close()
        self._remove()
        self._connect()

    def close(self) -> None:
        """Close the file."""
        self.database.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """One transaction for writing; what it did is taken back when an exception leaves it."""
        try:
            self.database.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            raise UnavailableError(
                f"The index {self.path} is being written by another process.", hint="Try again in a minute."
            ) from None
        try:
            yield
            self.database.execute("COMMIT")
        except BaseException:
            self._words.clear()
            self._contexts.clear()
            if self.database.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    self.database.execute("ROLLBACK")
            raise

    def query(self, sql: str, values: Sequence[object] = ()) -> Iterator[tuple]:
        """Yield the rows of a statement that reads."""
        return iter(self.database.execute(sql, values))

    def select(
        self,
        filters: Filters,
        after: int | None = None,
        newest: bool = True,
        limit: int | None = None,
        found: str = FOUND,
    ) -> Selection:
        """Return the statement for what is wanted; see ``select.select``."""
        return select(self.database, filters, after, newest, limit, found)

    def words(self, kind: int, glob: str, limit: int) -> list[str]:
        """Return up to ``limit`` words of a column (its number in ``query.FIELDS``) that match, sorted."""
        sql = "SELECT text FROM word WHERE kind = ? AND text GLOB ? ORDER BY text LIMIT ?"
        return [text for (text,) in self.database.execute(sql, (kind, glob.replace("[", "[[]"), limit))]

    # What catching up calls.

    def reached(self) -> Reached:
        """See ``catch_up.Store``."""
        row = self.database.execute("SELECT value FROM meta WHERE name = 'reached'").fetchone()
        if row is None:
            return Reached()
        position, leaf, minimum, *mark = json.loads(row[0])
        return Reached(position, leaf, minimum, Mark(*mark))

    def set_reached(self, reached: Reached) -> None:
        """See ``catch_up.Store``."""
        mark = reached.mark
        value = [reached.position, reached.leaf, reached.minimum, mark.first, mark.generation, mark.offset]
        self.database.execute("REPLACE INTO meta VALUES ('reached', ?)", (json.dumps(value),))

    def insert(self, rows: list[Row]) -> None:
        """See ``catch_up.Store``."""
        if not rows:
            return
        word, context = self._word, self._context
        behind = self.reached().position  # what is only in a journal yet stands behind what the log has
        data = []
        for row in rows:
            low = row.position if row.position is not None else behind + len(data)
            numbers = [None if text is None else word(kind, text) for kind, text in enumerate(row.values)]
            data.append((row_id(row.milliseconds, low), row.position, context(row.context), *numbers,
                         _packed(row.salt), row.details, row.texts))  # fmt: skip
        data.sort(key=lambda values: values[0])
        self._count(data, 1)
        data = self._put(data)
        self.database.executemany(
            "INSERT INTO entry_text(rowid, text) VALUES (?, ?)", ((values[0], "\n".join(values[-1])) for values in data)
        )

    def _put(self, data: list[tuple]) -> list[tuple]:
        """Insert rows, those whose ids are taken under the nearest free ones of the same millisecond; return them."""
        run = self.database.execute
        sql = f"INSERT INTO entry VALUES ({','.join('?' * (5 + len(COLUMNS)))})"
        run("SAVEPOINT rows")
        try:
            self.database.executemany(sql, (values[:-1] for values in data))
            return data
        except sqlite3.IntegrityError:
            run("ROLLBACK TO rows")
        finally:
            run("RELEASE rows")
        inserted = []
        for values in data:
            number = values[0]
            for step in range(1, 1 << LOW_BITS):
                if run("SELECT 1 FROM entry WHERE id = ?", (number,)).fetchone() is None:
                    break
                number = values[0] ^ step
            run(sql, (number, *values[1:-1]))
            inserted.append((number, *values[1:]))
        return sorted(inserted, key=lambda values: values[0])

    def _word(self, kind: int, text: str) -> int:
        found = self._words.get((kind, text))
        if found is None:
            if len(self._words) >= _CACHE:
                self._words.clear()
            row = self.database.execute("SELECT id FROM word WHERE kind = ? AND text = ?", (kind, text)).fetchone()
            if row is None:
                found = self.database.execute("INSERT INTO word VALUES (NULL, ?, ?, 0)", (kind, text)).lastrowid
            else:
                found = row[0]
            self._words[(kind, text)] = found
        return found

    def _context(self, text: str) -> int:
        found = self._contexts.get(text)
        if found is None:
            if len(self._contexts) >= 1000:
                self._contexts.clear()
            row = self.database.execute("SELECT id FROM context WHERE text = ?", (text,)).fetchone()
            if row is None:
                found = self.database.execute("INSERT INTO context VALUES (NULL, ?, 0)", (text,)).lastrowid
            else:
                found = row[0]
            self._contexts[text] = found
        return found

    def _count(self, data: Sequence[Sequence], sign: int) -> None:
        """Keep the number of entries of every word and context; searching chooses its index by it."""
        columns = list(zip(*(values[2 : 3 + len(COLUMNS)] for values in data)))
        contexts = Counter(columns[0])
        words: Counter = Counter()
        for column in columns[1:]:
            words.update(column)
        words.pop(None, None)
        for table, counts in (("word", words), ("context", contexts)):
            self.database.executemany(
                f"UPDATE {table} SET entries = entries + ? WHERE id = ?",
                [(sign * count, number) for number, count in counts.items()],
            )
            if sign < 0:
                self.database.executemany(
                    f"DELETE FROM {table} WHERE id = ? AND entries <= 0", [(number,) for number in counts]
                )
                self._words.clear()
                self._contexts.clear()

    def pending_journals(self) -> dict[str, int]:
        """See ``catch_up.Store``."""
        return dict(self.database.execute("SELECT run, taken FROM journal"))

    def set_pending(self, run: str, offset: int | None) -> None:
        """See ``catch_up.Store``."""
        if offset is not None:
            self.database.execute("REPLACE INTO journal VALUES (?, ?)", (run, offset))
            return
        self.database.execute("DELETE FROM journal WHERE run = ?", (run,))
        row = self.database.execute("SELECT id FROM word WHERE kind = 0 AND text = ?", (run,)).fetchone()
        if row is not None:
            self._delete("position IS NULL AND run = ?", row)

    def _delete(self, condition: str, values: Sequence[object]) -> int:
        """Remove rows with what the full text and the lists of words have of them; return how many."""
        names = ", ".join(COLUMNS)
        sql = f"SELECT id, details, context, {names} FROM entry WHERE {condition} LIMIT 5000"
        total = 0
        while True:
            found = self.database.execute(sql, values).fetchall()
            if not found:
                return total
            total += len(found)
            for number, details, context, *rest in found:
                event = self.database.execute("SELECT text FROM word WHERE id = ?", rest[1:2]).fetchone()[0]
                known = self.database.execute("SELECT text FROM context WHERE id = ?", (context,)).fetchone()[0]
                texts = searchable_strings(record_of(number, event, known, details, ""))
                text = "\n".join(texts).replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")
                self.database.execute(
                    "INSERT INTO entry_text(entry_text, rowid, text) VALUES ('delete', ?, ?)", (number, text)
                )
                self.database.execute("DELETE FROM entry WHERE id = ?", (number,))
            self._count([(None, None, *values[2:]) for values in found], -1)

    def erase(self, positions: list[int]) -> None:
        """See ``catch_up.Store``."""
        gone = sum(self._delete("position = ?", (position,)) for position in positions)
        self._forget(gone)

    def prune(self, minimum: int) -> None:
        """See ``catch_up.Store``."""
        self._forget(self._delete("position < ?", (minimum,)))

    def _forget(self, gone: int) -> None:
        if gone:
            # Deleting only adds a mark to the full text; merging all of it is what removes the words.
            self.database.execute("INSERT INTO entry_text(entry_text) VALUES ('optimize')")
            self.database.execute("REPLACE INTO meta VALUES ('forget', '1')")

    def settle(self) -> None:
        """Empty the write-ahead log after something was erased; once more later where a reader was in the way."""
        if self.database.execute("SELECT 1 FROM meta WHERE name = 'forget'").fetchone():
            busy = self.database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            if not busy:
                self.database.execute("DELETE FROM meta WHERE name = 'forget'")
                self.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def clear(self) -> None:
        """See ``catch_up.Store``."""
        for table in ("entry", "word", "context", "journal", "meta"):
            self.database.execute(f"DELETE FROM {table}")
        self.database.execute("INSERT INTO entry_text(entry_text) VALUES ('delete-all')")
        self._words.clear()
        self._contexts.clear()


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return 0


def _packed(salt: str) -> bytes | str:
    """Return a salt in half its size, or itself where it is not in lower-case hexadecimal digits."""
    try:
        data = bytes.fromhex(salt)
        return data if data.hex() == salt else salt
    except ValueError:
        return salt
