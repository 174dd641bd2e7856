# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What rounds of probes found, kept in SQLite: the last scores of each target, how often it failed, and the trend.

The functions take the connection of a transaction of ``_core.durable``, so that a caller can keep more in the same file
and commit all of it at once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["HISTORY_SCHEMA", "History", "Point", "histories", "kept_name", "points_of", "prune", "record"]

HISTORY_SCHEMA = (
    "CREATE TABLE rounds (id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL)",
    "CREATE INDEX rounds_at ON rounds (at)",
    (
        "CREATE TABLE points (round INTEGER NOT NULL REFERENCES rounds (id) ON DELETE CASCADE, vantage TEXT NOT NULL,"
        " target TEXT NOT NULL, score INTEGER NOT NULL, failed INTEGER NOT NULL,"
        " PRIMARY KEY (vantage, target, round)) WITHOUT ROWID"
    ),
    "CREATE INDEX points_round ON points (round)",
)
"""Statements for a new file. Deleting a round deletes its points."""

_STEADY = 5
"""So many points of score up or down are no trend."""


@dataclass(frozen=True)
class Point:
    """What one round found of a target, seen from a vantage point; ``score`` is 0 to 100."""

    vantage: str
    target: str
    score: int
    failed: bool


@dataclass(frozen=True)
class History:
    """The past of a target.

    :param scores: the last scores, the newest last.
    :param rounds: in how many rounds it was probed, as far as they are kept.
    :param failures: in how many of these it failed.
    """

    scores: tuple[int, ...]
    rounds: int
    failures: int

    @property
    def failure_rate(self) -> float:
        """The share of rounds that failed, 0 to 1."""
        return self.failures / self.rounds if self.rounds else 0.0

    @property
    def trend(self) -> str:
        """``rising``, ``falling`` or ``steady``: the mean of the newer half of the scores against that of the older."""
        half = len(self.scores) // 2
        if not half:
            return "steady"
        change = (sum(self.scores[-half:]) - sum(self.scores[:half])) / half
        return "rising" if change > _STEADY else "falling" if change < -_STEADY else "steady"

    def as_dict(self) -> dict:
        """Return it for a result; the rate is in percent."""
        return {
            "scores": list(self.scores),
            "rounds": self.rounds,
            "failures": self.failures,
            "failure_percent": round(100 * self.failure_rate, 1),
            "trend": self.trend,
        }


def points_of(vantage: str, result: Mapping) -> list[Point]:
    """Return the points of a result of ``network_probe``."""
    return [
        Point(kept_name(vantage), kept_name(outcome["item"]), int(outcome["score"]), outcome["fault"] is not None)
        for outcome in result["outcomes"]
    ]


def kept_name(name: object) -> str:
    """Return a name as it can be kept: SQLite takes no lone surrogates."""
    return str(name).encode("utf-8", "backslashreplace").decode("utf-8")


def record(database: sqlite3.Connection, at: float, points: Iterable[Point]) -> int:
    """Keep a round and return its number.

    :param at: when it was, in seconds since the epoch.
    """
    number = database.execute("INSERT INTO rounds (at) VALUES (?)", (at,)).lastrowid
    # Two targets of one name are one line in the history: the worse one.
    database.executemany(
        "INSERT INTO points (round, vantage, target, score, failed) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (vantage, target, round) DO UPDATE"
        " SET score = min(score, excluded.score), failed = max(failed, excluded.failed)",
        [(number, point.vantage, point.target, point.score, int(point.failed)) for point in points],
    )
    return number


def prune(database: sqlite3.Connection, now: float, keep_days: int, keep_rounds: int) -> None:
    """Forget rounds that are older than ``keep_days``, and of the rest all but the newest ``keep_rounds``."""
    database.execute("DELETE FROM rounds WHERE at < ?", (now - 86400 * keep_days,))
    database.execute(
        "DELETE FROM rounds WHERE id <= (SELECT id FROM rounds ORDER BY id DESC LIMIT 1 OFFSET ?)", (keep_rounds,)
    )


def histories(database: sqlite3.Connection, last: int) -> dict[tuple[str, str], History]:
    """Return ``{(vantage, target): History}`` of all that is kept.

    :param last: how many scores of each are told.
    """
    scores: dict[tuple[str, str], list[int]] = {}
    newest = database.execute(
        "SELECT vantage, target, score FROM (SELECT vantage, target, round, score,"
        " row_number() OVER (PARTITION BY vantage, target ORDER BY round DESC) AS place FROM points)"
        " WHERE place <= ? ORDER BY vantage, target, round",
        (last,),
    )
    for vantage, target, score in newest:
        scores.setdefault((vantage, target), []).append(score)
    counted = database.execute("SELECT vantage, target, count(*), sum(failed) FROM points GROUP BY vantage, target")
    return {
        (vantage, target): History(tuple(scores.get((vantage, target), ())), rounds, failures)
        for vantage, target, rounds, failures in counted
    }
