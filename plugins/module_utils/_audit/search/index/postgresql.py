# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The index in a PostgreSQL database, for the trails of many controllers.

Each controller's log has a row in ``log`` and writes its own entries; a search sees those of all. One writer at a time
(an advisory lock), rows by COPY. The words of the full text are made here and not by the server's parser, so that both
kinds of index find the same.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator, Sequence

from ...._core.errors import DependencyError, UnavailableError
from ..query import FIELDS, Filters, Term, folded, globs, has_wildcard, words_of
from .catch_up import Reached
from .rows import COLUMNS, LOW_BITS, Row, row_id
from .select import FOUND, Selection, id_range
from .source import Mark

try:
    import psycopg

    HAS_PSYCOPG = True
except ImportError:
    HAS_PSYCOPG = False

__all__ = ["PostgresqlStore"]

_SCHEMA_NAME = "scripts_toolkit_audit"
_VERSION = 1
_ADVISORY_LOCK = 0x73746B61  # any number that others are unlikely to choose: "stka"
_CACHE = 100_000
_LONGEST_WORD = 500
_LAST_POSITION = 16383

_SCHEMA = f"""
CREATE TABLE version(number int NOT NULL);
INSERT INTO version VALUES ({_VERSION});
CREATE TABLE log(id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, reached text);
CREATE TABLE journal(log int NOT NULL, run text NOT NULL, taken bigint NOT NULL, PRIMARY KEY (log, run));
CREATE TABLE word(id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind int NOT NULL, text text NOT NULL);
CREATE UNIQUE INDEX word_text ON word(kind, md5(text));
CREATE TABLE context(id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text NOT NULL);
CREATE UNIQUE INDEX context_text ON context(md5(text));
CREATE TABLE entry(
  id bigint PRIMARY KEY, log int NOT NULL, position bigint, context int NOT NULL,
  {", ".join(f"{column} int" for column in COLUMNS)},
  salt text NOT NULL, details text NOT NULL, words tsvector NOT NULL);
CREATE UNIQUE INDEX entry_position ON entry(log, position);
CREATE INDEX entry_pending ON entry(log, run) WHERE position IS NULL;
{"".join(f"CREATE INDEX entry_{column} ON entry({column}, id);" for column in COLUMNS)}
CREATE INDEX entry_words ON entry USING gin(words);
"""


def _tsvector(texts: Sequence[str]) -> str:
    words = words_of(texts)
    return " ".join(
        f"'{word}':{min(number, _LAST_POSITION)}" for number, word in enumerate(words, 1) if len(word) <= _LONGEST_WORD
    )


def _tsquery(term: Term) -> str:
    words = [f"'{folded(word)}'" for word in term.words]
    if term.prefix:
        words[-1] += ":*"
    return ("!" if term.negative else "") + "(" + " <-> ".join(words) + ")"


class PostgresqlStore:
    """Rows in PostgreSQL; see ``catch_up.Store``.

    :param dsn: a connection string or URL of libpq (https://www.postgresql.org/docs/current/libpq-connect.html); leave
        the password to the environment or a password file.
    :param directory: the log directory, which with the host's name tells this log from others.
    :raises DependencyError: the library psycopg is missing.
    :raises UnavailableError: the server can't be reached, or refuses.
    """

    def __init__(self, dsn: str, directory: str) -> None:
        if not HAS_PSYCOPG:
            raise DependencyError(
                "The index in PostgreSQL needs the Python library psycopg 3.",
                hint="pip install 'scripts-toolkit[postgresql]', or the Debian package python3-psycopg.",
            )
        self._dsn = dsn
        self._name = f"{socket.gethostname()}:{directory}"
        self._words: dict[tuple[int, str], int] = {}
        self._contexts: dict[str, int] = {}
        self._forget = False
        try:
            self.database = psycopg.connect(dsn, autocommit=True, connect_timeout=10)
        except psycopg.Error as error:
            raise _unavailable(error) from None
        try:
            self._prepare()
        except psycopg.Error as error:
            self.database.close()
            raise _unavailable(error) from None

    def _prepare(self) -> None:
        run = self.database.execute
        run(f"SET search_path TO {_SCHEMA_NAME}")
        with self.database.transaction():
            run("SELECT pg_advisory_xact_lock(%s)", (_ADVISORY_LOCK,))
            run(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA_NAME}")
            version = None
            if run("SELECT to_regclass('version')").fetchone()[0] is not None:
                version = run("SELECT number FROM version").fetchone()[0]
            if version != _VERSION:
                if version is not None:
                    run(f"DROP SCHEMA {_SCHEMA_NAME} CASCADE")
                    run(f"CREATE SCHEMA {_SCHEMA_NAME}")
                run(_SCHEMA)
            run("INSERT INTO log(name) VALUES (%s) ON CONFLICT DO NOTHING", (self._name,))
            self._log = run("SELECT id FROM log WHERE name = %s", (self._name,)).fetchone()[0]

    def close(self) -> None:
        """Close the connection."""
        self.database.close()

    def rebuild(self) -> None:
        """Forget this log; catching up indexes it again."""
        with self.transaction():
            self.clear()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """One transaction for writing; what it did is taken back when an exception leaves it."""
        try:
            with self.database.transaction():
                self.database.execute("SELECT pg_advisory_xact_lock(%s)", (_ADVISORY_LOCK,))
                yield
        except BaseException as error:
            self._words.clear()
            self._contexts.clear()
            if isinstance(error, psycopg.Error):
                raise _unavailable(error) from None
            raise

    def query(self, sql: str, values: Sequence[object] = ()) -> Iterator[tuple]:
        """Yield the rows of a statement that reads; ``?`` stands for a value."""
        try:
            yield from self.database.execute(sql.replace("?", "%s"), values)
        except psycopg.Error as error:
            raise _unavailable(error) from None

    def select(
        self,
        filters: Filters,
        after: int | None = None,
        newest: bool = True,
        limit: int | None = None,
        found: str = FOUND,
    ) -> Selection:
        """Return the statement for what is wanted, like ``select.select``; the server chooses the indexes."""
        low, high = id_range(filters, after, newest)
        conditions, values = ["e.id BETWEEN ? AND ?"], [low, high]
        for kind, (field, column) in enumerate(zip(FIELDS, COLUMNS)):
            if not filters.fields.get(field):
                continue
            words: set[int] = set()
            for glob in (glob for pattern in filters.fields[field] for glob in globs(field, pattern)):
                operator, value = ("LIKE", _like(glob)) if has_wildcard(glob) else ("=", glob)
                words.update(
                    number for (number,) in self.query(f"SELECT id FROM word WHERE kind = ? AND text {operator} ?",
                                                       (kind, value))
                )  # fmt: skip
            if not words:
                return Selection("", ())
            conditions.append(f"e.{column} = ?" if len(words) == 1 else f"e.{column} = ANY(?)")
            values.append(words.pop() if len(words) == 1 else sorted(words))
        if filters.terms:
            conditions.append("e.words @@ ?::tsquery")
            values.append(" & ".join(_tsquery(term) for term in filters.terms))
        order = "" if "count(" in found else f" ORDER BY e.id {'DESC' if newest else 'ASC'}"
        tail = "" if limit is None else f" LIMIT {int(limit)}"
        return Selection(f"SELECT {found} FROM entry e WHERE {' AND '.join(conditions)}{order}{tail}", tuple(values))

    def words(self, kind: int, glob: str, limit: int) -> list[str]:
        """See ``SqliteStore.words``."""
        sql = "SELECT text FROM word WHERE kind = ? AND text LIKE ? ORDER BY text LIMIT ?"
        return [text for (text,) in self.query(sql, (kind, _like(glob), limit))]

    # What catching up calls.

    def reached(self) -> Reached:
        """See ``catch_up.Store``."""
        row = self.database.execute("SELECT reached FROM log WHERE id = %s", (self._log,)).fetchone()
        if row is None or row[0] is None:
            return Reached()
        position, leaf, minimum, *mark = json.loads(row[0])
        return Reached(position, leaf, minimum, Mark(*mark))

    def set_reached(self, reached: Reached) -> None:
        """See ``catch_up.Store``."""
        mark = reached.mark
        value = [reached.position, reached.leaf, reached.minimum, mark.first, mark.generation, mark.offset]
        self.database.execute("UPDATE log SET reached = %s WHERE id = %s", (json.dumps(value), self._log))

    def insert(self, rows: list[Row]) -> None:
        """See ``catch_up.Store``."""
        if not rows:
            return
        self._learn(rows)
        behind = self.reached().position
        numbers = [
            row_id(row.milliseconds, behind + count if row.position is None else row.position)
            for count, row in enumerate(rows)
        ]
        self._free(numbers)
        with self.database.cursor().copy("COPY entry FROM STDIN") as copy:
            for number, row in zip(numbers, rows):
                words = [None if text is None else self._words[(kind, text)] for kind, text in enumerate(row.values)]
                copy.write_row((number, self._log, row.position, self._contexts[row.context], *words,
                                row.salt, row.details, _tsvector(row.texts)))  # fmt: skip

    def _free(self, numbers: list[int]) -> None:
        """Move ids that are taken to the nearest free ones of the same millisecond."""
        own: set[int] = set()
        for at, number in enumerate(numbers):
            step = 0
            while numbers[at] in own and step < 1 << LOW_BITS:
                step += 1
                numbers[at] = number ^ step
            own.add(numbers[at])
        sql = "SELECT id FROM entry WHERE id = ANY(%s)"
        taken = {number for (number,) in self.database.execute(sql, (numbers,))}
        for at, number in enumerate(numbers):
            step = 0
            while numbers[at] in taken and step < 1 << LOW_BITS:
                step += 1
                numbers[at] = number ^ step
                free = numbers[at] not in own and not self.database.execute(sql, ([numbers[at]],)).fetchone()
                if not free:
                    taken.add(numbers[at])
            own.add(numbers[at])

    def _learn(self, rows: list[Row]) -> None:
        """Give every new word and context a number, all of them in two statements."""
        if len(self._words) > _CACHE:
            self._words.clear()
        words = {(kind, text) for row in rows for kind, text in enumerate(row.values) if text is not None}
        words -= self._words.keys()
        run = self.database.execute
        if words:
            kinds, texts = [kind for kind, _text in words], [text for _kind, text in words]
            run(
                "INSERT INTO word(kind, text) SELECT * FROM unnest(%s::int[], %s::text[]) ON CONFLICT DO NOTHING",
                (kinds, texts),
            )
            found = run(
                "SELECT w.kind, w.text, w.id FROM word w JOIN unnest(%s::int[], %s::text[]) AS n(kind, text)"
                " ON w.kind = n.kind AND md5(w.text) = md5(n.text)",
                (kinds, texts),
            )
            self._words.update({(kind, text): number for kind, text, number in found})
        if len(self._contexts) > _CACHE // 100:
            self._contexts.clear()
        contexts = list({row.context for row in rows} - self._contexts.keys())
        if contexts:
            run("INSERT INTO context(text) SELECT * FROM unnest(%s::text[]) ON CONFLICT DO NOTHING", (contexts,))
            found = run(
                "SELECT c.text, c.id FROM context c JOIN unnest(%s::text[]) AS n(text) ON md5(c.text) = md5(n.text)",
                (contexts,),
            )
            self._contexts.update(found)

    def pending_journals(self) -> dict[str, int]:
        """See ``catch_up.Store``."""
        return dict(self.database.execute("SELECT run, taken FROM journal WHERE log = %s", (self._log,)).fetchall())

    def set_pending(self, run: str, offset: int | None) -> None:
        """See ``catch_up.Store``."""
        if offset is not None:
            self.database.execute(
                "INSERT INTO journal VALUES (%s, %s, %s) ON CONFLICT (log, run) DO UPDATE SET taken = excluded.taken",
                (self._log, run, offset),
            )
            return
        self.database.execute("DELETE FROM journal WHERE log = %s AND run = %s", (self._log, run))
        self.database.execute(
            "DELETE FROM entry WHERE log = %s AND position IS NULL"
            " AND run = (SELECT id FROM word WHERE kind = 0 AND md5(text) = md5(%s))",
            (self._log, run),
        )

    def erase(self, positions: list[int]) -> None:
        """See ``catch_up.Store``. The server's own log and backups are beyond this."""
        self._delete("position = ANY(%s)", positions)

    def prune(self, minimum: int) -> None:
        """See ``catch_up.Store``."""
        self._delete("position < %s", minimum)

    def _delete(self, condition: str, value: object) -> None:
        names = ", ".join(COLUMNS)
        gone = self.database.execute(
            f"DELETE FROM entry WHERE log = %s AND {condition} RETURNING context, {names}", (self._log, value)
        ).fetchall()
        if not gone:
            return
        contexts = list({row[0] for row in gone})
        unused = "NOT EXISTS (SELECT 1 FROM entry e WHERE e.context = context.id)"
        self.database.execute(f"DELETE FROM context WHERE id = ANY(%s) AND {unused}", (contexts,))
        for number, column in enumerate(COLUMNS, 1):
            words = list({row[number] for row in gone} - {None})
            unused = f"NOT EXISTS (SELECT 1 FROM entry e WHERE e.{column} = word.id)"
            self.database.execute(f"DELETE FROM word WHERE id = ANY(%s) AND {unused}", (words,))
        self._words.clear()
        self._contexts.clear()
        self._forget = True

    def settle(self) -> None:
        """Let the server clean up what was erased."""
        if self._forget:
            self._forget = False
            self.database.execute("VACUUM entry, word, context")

    def clear(self) -> None:
        """See ``catch_up.Store``."""
        for table in ("entry", "journal"):
            self.database.execute(f"DELETE FROM {table} WHERE log = %s", (self._log,))
        self.database.execute("UPDATE log SET reached = NULL WHERE id = %s", (self._log,))
        self._forget = True


def _like(glob: str) -> str:
    special = {"*": "%", "?": "_", "%": "\\%", "_": "\\_", "\\": "\\\\"}
    return "".join(special.get(character, character) for character in glob)


def _unavailable(error: Exception) -> UnavailableError:
    text = " ".join(str(error).split()) or type(error).__name__
    return UnavailableError(f"The index in PostgreSQL does not work: {text}.", hint="Look at the server and the DSN.")
