# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Circuits of one machine, in the controller's own SQLite file."""

from __future__ import annotations

import os
from collections.abc import Callable

from .._core.durable import Durable
from .._core.process import alive, identity
from .circuit_store import Answer, Decide, Store

__all__ = ["SqliteStore"]

_SCHEMA = ("CREATE TABLE circuit(name TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID",)


class SqliteStore(Store):
    """Circuits in ``circuits.sqlite`` in this directory; the file is made when the first record is kept.

    It knows when the process of a probe is dead, so that the next one can go at once.
    """

    def __init__(self, directory: str) -> None:
        self._durable = Durable(os.path.join(directory, "circuits.sqlite"), _SCHEMA)

    def _change(self, name: str, decide: Decide, now: Callable[[], float]) -> Answer:
        with self._durable.transaction() as database:
            row = database.execute("SELECT record FROM circuit WHERE name = ?", (name,)).fetchone()
            found = row[0] if row else None
            wanted, answer = decide(found, now())
            if wanted is None:
                database.execute("DELETE FROM circuit WHERE name = ?", (name,))
            elif wanted != found:
                database.execute("INSERT OR REPLACE INTO circuit VALUES (?, ?)", (name, wanted))
        return answer

    def read(self, name: str | None, now: Callable[[], float]) -> tuple[dict[str, str], float]:
        """See ``Store``."""
        if not self._durable.exists():
            return {}, now()
        wanted, values = ("", ()) if name is None else (" WHERE name = ?", (name,))
        with self._durable.reading() as database:
            rows = database.execute(f"SELECT name, record FROM circuit{wanted}", values).fetchall()
        return dict(rows), now()

    def release(self) -> None:
        """Keep the file open: that costs nobody anything."""

    def holder(self) -> list | None:
        """Return ``[pid, start, pid namespace]``: a number means nothing in another namespace (pid_namespaces(7))."""
        who, space = identity(os.getpid()), _pid_namespace()
        return None if who is None or space is None else [*who, space]

    def alive(self, holder: list | None) -> bool:
        """See ``Store``."""
        return holder is None or holder[2] != _pid_namespace() or alive(holder[:2])


def _pid_namespace() -> str | None:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return None
