# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Figures of the runs: counted in the run, carried by its last record, folded into counters when it is integrated.

So the figures derive from the log, can be rebuilt from it, and no run waits for another to count. What becomes a label
is bounded: so many modules, playbooks and host groups have figures of their own, the rest counts as ``other``.
``figures.py`` makes metrics of the counters.
"""

from __future__ import annotations

import json
import os
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from datetime import datetime

from ..._core.files import read_bytes, write_atomic
from .figures import GUARD_DECISIONS, RUN_BUCKETS_MS, RUN_STATUSES, STATUSES, TASK_BUCKETS_MS, collect, prometheus_text

__all__ = [
    "METRICS_STATE",
    "OTHER",
    "MetricsSink",
    "Tally",
    "load_counters",
    "module_label",
    "playbook_label",
]

METRICS_STATE = "metrics.json"
OTHER = "other"

MODULES = 60
PLAYBOOKS = 40
GROUPS = 20
"""So many of each have figures of their own."""

_MOST_IN_RUN = 60
_FORGET = 30 * 86400
"""Seconds after which a playbook or module that was not seen makes room for a new one."""

_LABEL = 120
_REMEMBERED = 256
_VERSION = 2
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def _label(text: str) -> str:
    return _CONTROL.sub("?", text)[:_LABEL]


def module_label(action: str) -> str:
    """Return the full name of a module: ``copy`` and ``ansible.legacy.copy`` are ``ansible.builtin.copy``."""
    if "." not in action:
        return _label(f"ansible.builtin.{action}")
    if action.startswith("ansible.legacy."):
        return _label(f"ansible.builtin.{action[15:]}")
    return _label(action)


def playbook_label(script: str) -> str:
    """Return the last two parts of a playbook's path: many projects have a ``site.yml``, but not in the same place."""
    return _label("/".join([part for part in script.split("/") if part][-2:]) or OTHER)


class Tally:
    """Counts task results of one run; apart from what waits, its size does not grow with the run."""

    def __init__(self) -> None:
        self.waiting: list[tuple] = []
        """Arguments of :meth:`add` for results that are counted by :meth:`count` later: many at once cost less."""
        self._modules: dict[str, dict] = {}
        self._groups: dict[str, dict] = {}
        self._guards: dict[str, int] = {}
        self._buckets = [0] * (len(TASK_BUCKETS_MS) + 1)

    def add(self, kind: str, status: str, milliseconds: int | None, groups: Iterable[str] = ()) -> None:
        """Count one task result.

        :param kind: what :func:`module_label` says of the module.
        :param status: one of ``STATUSES``.
        :param milliseconds: its duration where known.
        :param groups: those groups of the host that the option ``metrics_groups`` names.
        """
        counts = self._modules.get(kind) or self._counts(self._modules, kind)
        counts[status] = counts.get(status, 0) + 1
        if milliseconds is not None:
            self._buckets[bisect_left(TASK_BUCKETS_MS, milliseconds)] += 1
            counts["ms"] += milliseconds
        for group in groups:
            counts = self._groups.get(group) or self._counts(self._groups, group)
            counts[status] = counts.get(status, 0) + 1
            counts["ms"] += milliseconds or 0

    def decide(self, decision: object, wait_ms: object = None) -> None:
        """Count one decision of a guarded task, and the milliseconds that it waits; an unknown word counts nothing."""
        if decision in GUARD_DECISIONS:
            self._guards[decision] = self._guards.get(decision, 0) + 1
            if _number(wait_ms):
                self._guards["wait_ms"] = self._guards.get("wait_ms", 0) + _number(wait_ms)

    def count(self) -> None:
        """Count what waits."""
        while self.waiting:  # a signal handler may record the end while this goes on
            self.add(*self.waiting.pop())

    @staticmethod
    def _counts(table: dict[str, dict], name: str) -> dict:
        name = str.__str__(name)
        if name not in table and len(table) >= _MOST_IN_RUN:
            name = OTHER
        return table.setdefault(name, {"ms": 0})

    def details(self) -> dict:
        """Return what the last record of the run carries: ``results`` (by module: milliseconds ``ms`` and statuses),
        ``groups`` (the same by host group, where any is counted), ``guards`` (decisions, where there are any) and
        ``durations``."""
        self.count()
        details = {
            "results": {_label(kind): dict(counts) for kind, counts in sorted(self._modules.items())},
            "durations": {
                "buckets": list(self._buckets),
                "bounds_ms": list(TASK_BUCKETS_MS),
                "sum_ms": sum(counts["ms"] for counts in self._modules.values()),
            },
        }
        if self._groups:
            details["groups"] = {_label(group): dict(counts) for group, counts in sorted(self._groups.items())}
        if self._guards:
            details["guards"] = dict(sorted(self._guards.items()))
        return details


def _empty() -> dict:
    return {
        "version": _VERSION,
        "since": 0,
        "folded": [],
        "runs": {},
        "playbooks": {},
        "modules": {},
        "groups": {},
        "guards": {},
        "task_buckets": [0] * (len(TASK_BUCKETS_MS) + 1),
        "task_ms": 0,
        "lost": 0,
    }


def load_counters(directory: str) -> dict:
    """Return the counters that lie in the log's ``directory``; empty ones where there are none or another version's.

    A damaged file is set aside as ``metrics.json.damaged``.
    """
    path = os.path.join(directory, METRICS_STATE)
    data = read_bytes(path)
    counters = _empty()
    if data is not None:
        try:
            found = json.loads(data)
            if found["version"] == _VERSION:
                counters.update(found)
        except (ValueError, KeyError, TypeError):
            os.rename(path, path + ".damaged")
    return counters


class MetricsSink:
    """Folds ended runs into counters that survive them, and writes the text file.

    Call it under the integrator's lock only. A run that is folded again, because its integration died half-way, counts
    once.

    :param directory: the log's directory; the counters are in ``metrics.json`` there.
    :param path: the text file, ``None`` for none; 0644.
    """

    def __init__(self, directory: str, path: str | None) -> None:
        self._directory = directory
        self._path = path

    def fold(self, end: Mapping) -> None:
        """Add the run whose last record is ``end``.

        :raises OSError: the counters can't be written; they are as before then.
        """
        counters = load_counters(self._directory)
        if end["run_id"] not in counters["folded"]:
            _fold(counters, end)
            self._store(counters)

    def rebuild(self, ends: Iterable[Mapping]) -> int:
        """Count anew from the last records of all runs, oldest first; return how many there are."""
        counters, runs = _empty(), 0
        for end in ends:
            if end["run_id"] not in counters["folded"]:
                _fold(counters, end)
                runs += 1
        self._store(counters)
        return runs

    def _store(self, counters: dict) -> None:
        data = json.dumps(counters, sort_keys=True).encode("ascii")
        write_atomic(os.path.join(self._directory, METRICS_STATE), data)

    def publish(self) -> None:
        """Write the text file from the counters and the state of the trail.

        :raises OSError: it can't be written; the old one is untouched then.
        """
        if not self._path:
            return
        directory = os.path.dirname(self._path)
        if not os.path.isdir(directory):
            os.makedirs(directory, mode=0o755)
        text = prometheus_text(collect(self._directory, load_counters(self._directory)))
        write_atomic(self._path, text.encode("utf-8"), mode=0o644, durable=False)


def _number(value: object) -> int:
    """The record may be anybody's: what is no count counts nothing."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _mapping(value: object) -> Mapping:
    return value if isinstance(value, Mapping) else {}


def _slot(table: dict, name: str, most: int, moment: int) -> dict:
    """Return the figures of ``name``, or those of ``other`` when too many have their own.

    What was not seen for long makes room: its figures are added to those of ``other``, which never go down.
    """
    name = _label(name)
    if name not in table and len(table) - (OTHER in table) >= most:
        oldest = min((key for key in table if key != OTHER), key=lambda key: table[key]["seen"])
        if moment - table[oldest]["seen"] > _FORGET:
            _merge(table.setdefault(OTHER, {"seen": moment}), table.pop(oldest))
        else:
            name = OTHER
    slot = table.setdefault(name, {"seen": moment})
    slot["seen"] = max(slot["seen"], moment)
    return slot


def _merge(into: dict, figures: dict) -> None:
    for key, value in figures.items():
        if key == "last":  # the last run of many playbooks says nothing
            continue
        if key == "buckets":
            into[key] = [a + b for a, b in zip(into.get(key) or [0] * len(value), value)]
        elif key == "runs":
            _merge(into.setdefault(key, {}), value)
        elif key == "seen":
            into[key] = max(into.get(key, 0), value)
        else:
            into[key] = into.get(key, 0) + value


def _fold(counters: dict, end: Mapping) -> None:
    details = _mapping(end.get("details"))
    status = details.get("status")
    status = status if status in RUN_STATUSES else "interrupted"
    moment = int(datetime.strptime(end["timestamp"], "%Y-%m-%dT%H:%M:%S.%f%z").timestamp())
    counters["folded"] = [*counters["folded"], end["run_id"]][-_REMEMBERED:]
    counters["since"] = counters["since"] or moment
    counters["runs"][status] = counters["runs"].get(status, 0) + 1
    counters["lost"] += _number(details.get("lost_events"))
    playbook = playbook_label(str(end.get("script", "")))
    _fold_run(_slot(counters["playbooks"], playbook, PLAYBOOKS, moment), details, status, moment)
    for key, table, most in (("results", "modules", MODULES), ("groups", "groups", GROUPS)):
        for name, counts in _mapping(details.get(key)).items():
            counts = _mapping(counts)
            slot = _slot(counters[table], str(name), most, moment)
            for word in (*STATUSES, "ms"):
                slot[word] = slot.get(word, 0) + _number(counts.get(word))
    decided = _mapping(details.get("guards"))
    for word in (*GUARD_DECISIONS, "wait_ms"):
        if _number(decided.get(word)):
            counters["guards"][word] = counters["guards"].get(word, 0) + decided[word]
    durations = _mapping(details.get("durations"))
    if durations.get("bounds_ms") == list(TASK_BUCKETS_MS):
        counters["task_buckets"] = [a + _number(b) for a, b in zip(counters["task_buckets"], durations["buckets"])]
        counters["task_ms"] += _number(durations.get("sum_ms"))


def _fold_run(slot: dict, details: Mapping, status: str, moment: int) -> None:
    runs = slot.setdefault("runs", dict.fromkeys(RUN_STATUSES, 0))
    runs[status] += 1
    buckets = slot.setdefault("buckets", [0] * (len(RUN_BUCKETS_MS) + 1))
    slot.setdefault("ms", 0)
    last = slot.setdefault("last", {"time": 0, "success": 0})
    if "duration_ms" in details:
        milliseconds = _number(details["duration_ms"])
        buckets[bisect_left(RUN_BUCKETS_MS, milliseconds)] += 1
        slot["ms"] += milliseconds
    if status == "success":
        last["success"] = max(last["success"], moment)
    if moment < last["time"]:
        return  # runs that went on at the same time may be folded in another order
    last["time"] = moment
    if "duration_ms" in details:
        last["duration_ms"] = _number(details["duration_ms"])
    for name in ("changed", "unreachable", "failed"):
        last[name] = _number(_mapping(details.get("totals")).get(name))
