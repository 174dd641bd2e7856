# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Circuits of many controllers in a PostgreSQL database: one table, a row for each circuit, locked while it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .._core.errors import DependencyError, UnavailableError
from .backend_url import scrubbed, shown
from .circuit_store import Answer, Decide, Store

try:
    import psycopg

    HAS_PSYCOPG = True
except ImportError:
    HAS_PSYCOPG = False

__all__ = ["PostgresqlStore"]

_SCHEMA = "scripts_toolkit_guard"
_TABLE = f"{_SCHEMA}.circuit"
_ADVISORY_LOCK = 0x73746B67  # any number that others are unlikely to choose: "stkg"
_SECONDS = 5
_CONNECTION = {
    "connect_timeout": _SECONDS,
    "tcp_user_timeout": 1000 * _SECONDS,
    "application_name": "scripts.toolkit",
}
_CREATE = f"""
SELECT pg_advisory_xact_lock({_ADVISORY_LOCK});
CREATE SCHEMA IF NOT EXISTS {_SCHEMA};
CREATE TABLE IF NOT EXISTS {_TABLE}(name text PRIMARY KEY, record text)
"""
# A process that is stopped while it has the lock must not stop all others.
_LIMITS = "SET LOCAL lock_timeout = '10s'; SET LOCAL idle_in_transaction_session_timeout = '10s'"


class PostgresqlStore(Store):
    """Circuits in the database with this URL of libpq
    (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS); the server's clock holds.

    The schema and the table are made when the first record is kept.
    """

    def __init__(self, url: str) -> None:
        if not HAS_PSYCOPG:
            raise DependencyError(
                "Circuits in PostgreSQL need the Python library psycopg 3 on the controller.",
                hint="pip install 'scripts-toolkit[postgresql]', or the Debian package python3-psycopg.",
            )
        self._url = url
        self._connected: psycopg.Connection | None = None

    def _change(self, name: str, decide: Decide, now: Callable[[], float]) -> Answer:
        del now
        with self._database() as database:
            try:
                return _change(database, name, decide)
            except psycopg.errors.UndefinedTable:
                with database.transaction():
                    database.execute(_CREATE)
                return _change(database, name, decide)

    def read(self, name: str | None, now: Callable[[], float]) -> tuple[dict[str, str], float]:
        """See ``Store``."""
        del now
        wanted, values = ("", ()) if name is None else (" WHERE name = %s", (name,))
        with self._database() as database:
            try:
                rows = database.execute(f"SELECT name, record FROM {_TABLE}{wanted}", values).fetchall()
            except psycopg.errors.UndefinedTable:
                rows = []
            return dict(rows), _time(database)

    def release(self) -> None:
        """Close the connection: a call may take hours."""
        if self._connected is not None:
            self._connected.close()
            self._connected = None

    @contextmanager
    def _database(self) -> Iterator[psycopg.Connection]:
        try:
            if self._connected is None:
                # Nothing is prepared, so that a pooler in between may give each transaction another session.
                self._connected = psycopg.connect(self._url, autocommit=True, prepare_threshold=None, **_CONNECTION)
                self._connected.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
            yield self._connected
        except psycopg.Error as error:
            raise UnavailableError(
                f"{shown(self._url)} can't be asked: {scrubbed(str(error) or type(error).__name__, self._url)}.",
                hint="Look at the server, or run without circuits meanwhile by on_backend_error: bypass.",
            ) from None


def _change(database: psycopg.Connection, name: str, decide: Decide) -> Answer:
    with database.transaction():
        database.execute(_LIMITS)
        row = None
        while row is None:  # it may be removed between both statements
            database.execute(f"INSERT INTO {_TABLE}(name) VALUES (%s) ON CONFLICT DO NOTHING", (name,))
            row = database.execute(f"SELECT record FROM {_TABLE} WHERE name = %s FOR UPDATE", (name,)).fetchone()
        wanted, answer = decide(row[0], _time(database))
        if wanted is None:
            database.execute(f"DELETE FROM {_TABLE} WHERE name = %s", (name,))
        elif wanted != row[0]:
            database.execute(f"UPDATE {_TABLE} SET record = %s WHERE name = %s", (wanted, name))
    return answer


def _time(database: psycopg.Connection) -> float:
    """Return the server's time now, not that of the beginning of the transaction."""
    return database.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()[0]
