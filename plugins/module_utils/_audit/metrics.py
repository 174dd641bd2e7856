# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Figures of the runs for Prometheus: counted in the run, carried by its last record, folded when it is integrated.

So the figures derive from the log, can be rebuilt from it, and no run waits for another to count.
"""

from __future__ import annotations

import json
import os
from bisect import bisect_left
from datetime import datetime

from .._core.files import read_bytes, write_atomic

__all__ = ["CLASSES", "RUN_STATUSES", "STATUSES", "MetricsSink", "Tally", "module_class", "render"]

STATUSES = ("ok", "changed", "failed", "ignored", "rescued", "skipped", "unreachable")
RUN_STATUSES = ("success", "failed", "unreachable", "interrupted")
CLASSES = ("ansible.builtin", "scripts.toolkit", "other")
TASK_BUCKETS_MS = (50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000)
RUN_BUCKETS_MS = (1000, 5000, 10000, 30000, 60000, 120000, 300000, 600000, 1800000, 3600000, 14400000)

_STATE = "metrics.json"
_VERSION = 1


def module_class(action: str) -> str:
    """Return the class of a module by its full name: ``ansible.builtin``, ``scripts.toolkit`` or ``other``."""
    if action.startswith(("ansible.builtin.", "ansible.legacy.")) or "." not in action:
        return "ansible.builtin"
    return "scripts.toolkit" if action.startswith("scripts.toolkit.") else "other"


class Tally:
    """Counts task results of one run; its size does not grow with the run."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._buckets = [0] * (len(TASK_BUCKETS_MS) + 1)
        self._milliseconds = 0

    def add(self, kind: str, status: str, milliseconds: int | None) -> None:
        """Count one task result of a module class; ``milliseconds`` is its duration where known."""
        key = (kind, status)
        self._counts[key] = self._counts.get(key, 0) + 1
        if milliseconds is not None:
            self._buckets[bisect_left(TASK_BUCKETS_MS, milliseconds)] += 1
            self._milliseconds += milliseconds

    def details(self) -> dict:
        """Return what the last record of the run carries: ``results`` by module class and status, ``durations``."""
        results: dict[str, dict[str, int]] = {}
        for (kind, status), count in sorted(self._counts.items()):
            results.setdefault(kind, {})[status] = count
        return {
            "results": results,
            "durations": {
                "buckets": list(self._buckets),
                "bounds_ms": list(TASK_BUCKETS_MS),
                "sum_ms": self._milliseconds,
            },
        }


def _empty() -> dict:
    return {
        "version": _VERSION,
        "last_run_id": "",
        "runs": {},
        "results": {},
        "task_buckets": [0] * (len(TASK_BUCKETS_MS) + 1),
        "task_sum_ms": 0,
        "run_buckets": [0] * (len(RUN_BUCKETS_MS) + 1),
        "run_sum_ms": 0,
        "lost": 0,
        "last": {},
    }


class MetricsSink:
    """Folds ended runs into counters that survive them, and writes the text file.

    Call it under the integrator's lock only. Folding one run twice in a row counts it once.

    :param directory: where the counters live (``metrics.json``).
    :param path: the text file, ``None`` for none; 0644.
    """

    def __init__(self, directory: str, path: str | None) -> None:
        self._state_path = os.path.join(directory, _STATE)
        self._path = path

    def fold(self, end: dict) -> None:
        """Add the run whose last record is ``end``.

        :raises OSError: the counters can't be written; they are as before then.
        """
        state = self._load()
        if state["last_run_id"] == end["run_id"]:
            return
        _fold(state, end)
        write_atomic(self._state_path, json.dumps(state, sort_keys=True, indent=1).encode("ascii"))

    def publish(self) -> None:
        """Write the text file from the counters.

        :raises OSError: it can't be written; the old one is untouched then.
        """
        if not self._path:
            return
        directory = os.path.dirname(self._path)
        if not os.path.isdir(directory):
            os.makedirs(directory, mode=0o755)
        write_atomic(self._path, render(self._load()).encode("ascii"), mode=0o644, durable=False)

    def _load(self) -> dict:
        data = read_bytes(self._state_path)
        state = _empty()
        if data is not None:
            try:
                found = json.loads(data)
                if found["version"] == _VERSION:
                    state.update(found)
            except (ValueError, KeyError, TypeError):
                os.rename(self._state_path, self._state_path + ".damaged")
        return state


def _fold(state: dict, end: dict) -> None:
    details = end.get("details", {})
    status = details.get("status")
    status = status if status in RUN_STATUSES else "interrupted"
    moment = int(datetime.strptime(end["timestamp"], "%Y-%m-%dT%H:%M:%S.%f%z").timestamp())
    state["last_run_id"] = end["run_id"]
    state["runs"][status] = state["runs"].get(status, 0) + 1
    state["lost"] += details.get("lost_events", 0)
    for kind, counts in details.get("results", {}).items():
        if kind not in CLASSES:
            continue
        total = state["results"].setdefault(kind, {})
        for name, count in counts.items():
            if name in STATUSES:
                total[name] = total.get(name, 0) + count
    durations = details.get("durations", {})
    if durations.get("bounds_ms") == list(TASK_BUCKETS_MS):
        state["task_buckets"] = [a + b for a, b in zip(state["task_buckets"], durations["buckets"])]
        state["task_sum_ms"] += durations["sum_ms"]
    if "duration_ms" in details:
        state["run_buckets"][bisect_left(RUN_BUCKETS_MS, details["duration_ms"])] += 1
        state["run_sum_ms"] += details["duration_ms"]
        state["last"]["duration_ms"] = details["duration_ms"]
    totals = details.get("totals", {})
    state["last"]["time"] = max(moment, state["last"].get("time", 0))
    if status == "success":
        state["last"]["success"] = max(moment, state["last"].get("success", 0))
    for name in ("changed", "unreachable", "failed"):
        if name in totals:
            state["last"][name] = totals[name]


def render(state: dict) -> str:
    """Return the counters in Prometheus text format 0.0.4
    (https://prometheus.io/docs/instrumenting/exposition_formats/)."""
    lines: list[str] = []

    def family(name: str, kind: str, text: str, samples: list[tuple[str, str]]) -> None:
        if samples:
            lines.extend((f"# HELP scripts_toolkit_{name} {text}", f"# TYPE scripts_toolkit_{name} {kind}"))
            lines.extend(f"scripts_toolkit_{label} {value}" for label, value in samples)

    def histogram(name: str, text: str, bounds: tuple[int, ...], buckets: list[int], milliseconds: int) -> None:
        samples, total = [], 0
        for bound, count in zip(bounds, buckets):
            total += count
            samples.append((f'{name}_bucket{{le="{bound / 1000:g}"}}', str(total)))
        total += buckets[-1]
        samples.append((f'{name}_bucket{{le="+Inf"}}', str(total)))
        samples.append((f"{name}_sum", _seconds(milliseconds)))
        samples.append((f"{name}_count", str(total)))
        family(name, "histogram", text, samples)

    last = state["last"]
    family(
        "runs_total",
        "counter",
        "Runs that ended, by status.",
        [(f'runs_total{{status="{status}"}}', str(state["runs"].get(status, 0))) for status in RUN_STATUSES],
    )
    family(
        "task_results_total",
        "counter",
        "Task results by status and by the collection of the module.",
        [
            (
                f'task_results_total{{collection="{kind}",status="{status}"}}',
                str(state["results"].get(kind, {}).get(status, 0)),
            )
            for kind in CLASSES
            for status in STATUSES
        ],
    )
    histogram("run_duration_seconds", "Duration of runs.", RUN_BUCKETS_MS, state["run_buckets"], state["run_sum_ms"])
    histogram(
        "task_duration_seconds",
        "Duration of task results.",
        TASK_BUCKETS_MS,
        state["task_buckets"],
        state["task_sum_ms"],
    )
    family(
        "events_lost_total",
        "counter",
        "Events that could not be recorded.",
        [("events_lost_total", str(state["lost"]))],
    )
    for key, name, text in (
        ("time", "last_run_timestamp_seconds", "When the last run ended."),
        ("success", "last_success_timestamp_seconds", "When the last successful run ended."),
        ("changed", "last_run_changed", "Changed task results of the last run, all hosts."),
        ("failed", "last_run_failed", "Failed task results of the last run, all hosts."),
        ("unreachable", "last_run_unreachable", "Unreachable hosts of the last run."),
    ):
        if key in last:
            family(name, "gauge", text, [(name, str(last[key]))])
    if "duration_ms" in last:
        family(
            "last_run_duration_seconds",
            "gauge",
            "Duration of the last run.",
            [("last_run_duration_seconds", _seconds(last["duration_ms"]))],
        )
    return "\n".join(lines) + "\n"


def _seconds(milliseconds: int) -> str:
    whole, rest = divmod(milliseconds, 1000)
    return f"{whole}.{rest:03d}"
