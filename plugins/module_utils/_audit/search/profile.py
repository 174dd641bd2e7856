# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the time of a run went: by task, role, host and module."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping

from .index.index import Index
from .query import Filters

__all__ = ["GROUPS", "build_profile", "percentile"]

GROUPS = ("tasks", "roles", "hosts", "modules")

_MOST = (1 << 32) - 1


def percentile(sorted_values: array | list[int], share: float) -> int:
    """Return the nearest-rank percentile: the smallest value that at least ``share`` of all values do not exceed."""
    rank = max(-(-len(sorted_values) * round(share * 10000) // 10000), 1)
    return sorted_values[rank - 1]


class _Group:
    """Durations of one name; four bytes each."""

    def __init__(self) -> None:
        self.durations = array("I")
        self.slowest = ("", -1)
        self.about: dict[str, str] = {}

    def add(self, milliseconds: int, host: str) -> None:
        self.durations.append(min(max(milliseconds, 0), _MOST))
        if milliseconds > self.slowest[1]:
            self.slowest = (host, milliseconds)

    def row(self, name: str, total: int) -> dict:
        ordered = sorted(self.durations)
        spent = sum(ordered)
        return {
            "name": name,
            **self.about,
            "results": len(ordered),
            "total_ms": spent,
            "share": round(spent / total, 4) if total else 0.0,
            "mean_ms": round(spent / len(ordered)),
            "p95_ms": percentile(ordered, 0.95),
            "max_ms": ordered[-1],
            "slowest_host": self.slowest[0],
        }


def build_profile(index: Index, run: str, top: int = 10) -> dict:
    """Return where the time of a run went.

    Durations of the same task on several hosts overlap, so their sum is working time, not the run's duration. Memory
    use grows by 16 bytes a result.

    :param run: the run's whole id.
    :param top: how many of each group, most time first.
    :return: ``run_id``, ``script``, ``status``, ``duration_ms`` (``None`` while it runs), ``results``, ``total_ms``,
        and for each of :data:`GROUPS` a list of ``name``, ``results``, ``total_ms``, ``share`` (of the total),
        ``mean_ms``, ``p95_ms``, ``max_ms``, ``slowest_host``; tasks also ``role``, ``module``, ``task_path``.
    """
    groups: dict[str, dict[str, _Group]] = {name: {} for name in GROUPS}
    for entry in index.each(Filters({"run": (run,), "event": ("TASK_RESULT",)})):
        details = entry["details"]
        milliseconds = details.get("duration_ms") if isinstance(details, dict) else None
        if not isinstance(milliseconds, int):
            continue
        host = str(details.get("host"))
        names = {
            "tasks": str(details.get("task_id") or details.get("task")),
            "roles": _role(details),
            "hosts": host,
            "modules": str(details.get("module")),
        }
        for kind, name in names.items():
            group = groups[kind].get(name)
            if group is None:
                groups[kind][name] = group = _Group()
                if kind == "tasks":
                    about = ("task", "role", "module", "task_path")
                    group.about = {key: str(details[key]) for key in about if details.get(key)}
            group.add(milliseconds, host)
    total = sum(sum(group.durations) for group in groups["hosts"].values())
    end = next(iter(index.search(Filters({"run": (run,), "event": ("EXECUTION_END", "INTERRUPTED")}), 1).entries), None)
    told = end["details"] if end and isinstance(end["details"], dict) else {}
    first = index.search(Filters({"run": (run,)}), 1, newest=False).entries[0]
    return {
        "run_id": run,
        "script": first.get("script"),
        "status": told.get("status"),
        "duration_ms": told.get("duration_ms"),
        "results": sum(len(group.durations) for group in groups["hosts"].values()),
        "total_ms": total,
        **{kind: _rows(groups[kind].items(), total, top) for kind in GROUPS},
    }


def _rows(groups: Iterable[tuple[str, _Group]], total: int, top: int) -> list[dict]:
    order = sorted(groups, key=lambda named: (-sum(named[1].durations), named[0]))[:top]
    rows = []
    for name, group in order:
        row = group.row(name, total)
        if "task" in row:
            row["name"] = row.pop("task")
        rows.append(row)
    return rows


def _role(details: Mapping) -> str:
    """Return the role of a task: as recorded, or by where its file lies."""
    if details.get("role"):
        return str(details["role"])
    before, found, after = str(details.get("task_path", "")).rpartition("/roles/")
    return after.split("/", 1)[0] if found and before else "(no role)"
