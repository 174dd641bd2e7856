# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the monitor remembers between runs: standings, notifications to send, and the history, in one SQLite file.

A round is one transaction: what it found, what that means for the alerts, and whom to tell are kept together or not at
all. A run that is killed before the commit has not happened; one that is killed after it is complete.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..._core.durable import Durable
from ..._core.errors import ConflictError, NotFoundError, PermissionDenied
from ..history import HISTORY_SCHEMA, History, histories
from .hysteresis import Standing

__all__ = ["Pending", "Store"]

_SCHEMA = (
    *HISTORY_SCHEMA,
    (
        "CREATE TABLE standings (target TEXT PRIMARY KEY, alerting INTEGER NOT NULL, told INTEGER NOT NULL,"
        " recent TEXT NOT NULL, since REAL, last TEXT NOT NULL) WITHOUT ROWID"
    ),
    (
        "CREATE TABLE outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, hook TEXT NOT NULL, event TEXT NOT NULL,"
        " attempts INTEGER NOT NULL DEFAULT 0, trouble TEXT)"
    ),
    "CREATE INDEX outbox_hook ON outbox (hook, id)",
)


@dataclass(frozen=True)
class Pending:
    """A notification that has not arrived yet, how often it was tried, and what went wrong the last time."""

    number: int
    hook: str
    event: str
    attempts: int
    trouble: str | None


class Store:
    """The state in a directory of its own, made with mode 0700."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._durable = Durable(os.path.join(directory, "monitor.sqlite"), _SCHEMA)

    @contextlib.contextmanager
    def alone(self, purpose: str) -> Iterator[None]:
        """Hold a lock while something runs that must not run twice at once.

        :raises ConflictError: another process holds it.
        :raises PermissionDenied: the state is another user's, who could not use what we made there.
        """
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        if os.stat(self.directory).st_uid != os.geteuid():
            raise PermissionDenied(
                f"{self.directory} belongs to another user.",
                hint="Be that user, or: systemctl start scripts-toolkit-network-monitor.service",
            )
        path = os.path.join(self.directory, f"{purpose}.lock")
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConflictError(f"Another {purpose} is under way.", hint="Wait until it has ended.") from None
            yield
        finally:
            os.close(handle)

    def round(self) -> contextlib.AbstractContextManager[sqlite3.Connection]:
        """Give the transaction of a round."""
        return self._durable.transaction()

    @staticmethod
    def standings(database: sqlite3.Connection) -> dict[str, tuple[Standing, dict]]:
        """Return the standing of each target, and what was last found of it."""
        rows = database.execute("SELECT target, alerting, told, recent, since, last FROM standings")
        return {
            target: (Standing(bool(alerting), bool(told), recent, since), json.loads(last))
            for target, alerting, told, recent, since, last in rows
        }

    @staticmethod
    def keep(database: sqlite3.Connection, target: str, standing: Standing, last: Mapping) -> None:
        """Keep the standing of a target and what was found of it."""
        row = (target, standing.alerting, standing.told, standing.recent, standing.since, json.dumps(last))
        database.execute("INSERT OR REPLACE INTO standings VALUES (?, ?, ?, ?, ?, ?)", row)

    @staticmethod
    def forget(database: sqlite3.Connection, target: str) -> None:
        """Forget the standing of a target that is probed no more."""
        database.execute("DELETE FROM standings WHERE target = ?", (target,))

    @staticmethod
    def post(database: sqlite3.Connection, hooks: Sequence[str], event: Mapping) -> None:
        """Put an event into the outbox of each hook."""
        text = json.dumps(event, sort_keys=True)
        database.executemany("INSERT INTO outbox (hook, event) VALUES (?, ?)", [(hook, text) for hook in hooks])

    @staticmethod
    def drop_others(database: sqlite3.Connection, hooks: Sequence[str]) -> None:
        """Empty the outboxes of hooks that exist no more."""
        marks = ", ".join("?" * len(hooks))
        database.execute(f"DELETE FROM outbox WHERE hook NOT IN ({marks})", tuple(hooks))

    def next_for(self, hook: str) -> Pending | None:
        """Return the oldest notification that waits for a hook."""
        with self._durable.reading() as database:
            row = database.execute(
                "SELECT id, hook, event, attempts, trouble FROM outbox WHERE hook = ? ORDER BY id LIMIT 1", (hook,)
            ).fetchone()
        return Pending(*row) if row else None

    def pending(self) -> list[Pending]:
        """Return all that waits, the oldest first."""
        with self._durable.reading() as database:
            rows = database.execute("SELECT id, hook, event, attempts, trouble FROM outbox ORDER BY id").fetchall()
        return [Pending(*row) for row in rows]

    def delivered(self, number: int) -> None:
        """Take a notification out of the outbox."""
        with self._durable.transaction() as database:
            database.execute("DELETE FROM outbox WHERE id = ?", (number,))

    def failed(self, number: int, trouble: str) -> None:
        """Note that a notification did not arrive."""
        with self._durable.transaction() as database:
            database.execute(
                "UPDATE outbox SET attempts = attempts + 1, trouble = ? WHERE id = ?", (trouble[:500], number)
            )

    def overview(self, last: int) -> tuple[dict[str, tuple[Standing, dict]], dict[tuple[str, str], History]]:
        """Return the standings and the histories, of one moment; ``last`` scores of each target.

        :raises NotFoundError: there was no round yet.
        """
        if not self._durable.exists():
            raise NotFoundError(f"{self.directory} holds nothing yet.", hint="Wait for the first round.")
        with self._durable.reading() as database:
            return self.standings(database), histories(database, last)
