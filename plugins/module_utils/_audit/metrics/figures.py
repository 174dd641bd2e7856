# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The metrics: what the counters, the trail, its verification and its witnesses say, in one form for every sink; and
Prometheus' text format, which needs no network.

Sources: https://prometheus.io/docs/instrumenting/exposition_formats/ (version 0.0.4) and
https://prometheus.io/docs/practices/naming/.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..._core.files import read_bytes

__all__ = [
    "GUARD_DECISIONS",
    "PREFIX",
    "RUN_BUCKETS_MS",
    "RUN_STATUSES",
    "STATUSES",
    "TASK_BUCKETS_MS",
    "VERIFICATION_NAME",
    "WITNESS_DIRECTORY",
    "Family",
    "Histogram",
    "Sample",
    "collect",
    "prometheus_text",
]

PREFIX = "scripts_toolkit_"
STATUSES = ("ok", "changed", "failed", "ignored", "rescued", "skipped", "unreachable")
RUN_STATUSES = ("success", "failed", "unreachable", "interrupted")
GUARD_DECISIONS = ("attempt", "wait", "deadline", "trip", "probe", "refused", "hit", "store", "bypass")
TASK_BUCKETS_MS = (50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000)
RUN_BUCKETS_MS = (1000, 5000, 10000, 30000, 60000, 120000, 300000, 600000, 1800000, 3600000, 14400000)

VERIFICATION_NAME = "verification.json"
"""What the last verification found: ``{"time": seconds since the epoch, "ok": bool, "entries": int}``."""

WITNESS_DIRECTORY = "witness"
"""Holds a state file ``<name>.json`` of each witness."""

_STATE = "state.json"


@dataclass(frozen=True)
class Histogram:
    """``counts`` has one more entry than ``bounds`` (seconds, inclusive); ``total`` is the sum in seconds."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float


@dataclass(frozen=True)
class Sample:
    """A value with its labels."""

    value: int | float | Histogram
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Family:
    """A metric.

    :param name: as Prometheus spells it, without ``PREFIX``.
    :param kind: ``counter``, ``gauge`` or ``histogram``.
    :param unit: ``s``, ``By`` or ``1`` (UCUM).
    :param since: when a counter or histogram began to count, seconds since the epoch.
    """

    name: str
    kind: str
    text: str
    samples: Sequence[Sample]
    unit: str = "1"
    since: int = 0


def collect(directory: str, counters: Mapping) -> list[Family]:
    """Return all metrics of the trail in ``directory``; families without a sample are left out.

    :param counters: what ``metrics.load_counters`` returns.
    """
    families = [*_of_runs(counters), *_of_results(counters), *_of_trail(directory), *_of_witnesses(directory)]
    since = counters["since"]
    return [
        Family(family.name, family.kind, family.text, family.samples, family.unit, since)
        for family in families
        if family.samples
    ]


def _seconds(bounds: Iterable[int]) -> tuple[float, ...]:
    return tuple(bound / 1000 for bound in bounds)


def _of_runs(counters: Mapping) -> Iterable[Family]:
    playbooks = sorted(counters["playbooks"].items())
    yield Family(
        "runs_total",
        "counter",
        "Runs that ended, by playbook and status.",
        [
            Sample(entry["runs"][status], {"playbook": name, "status": status})
            for name, entry in playbooks
            for status in RUN_STATUSES
        ],
    )
    yield Family(
        "run_duration_seconds",
        "histogram",
        "Duration of runs, by playbook.",
        [
            Sample(Histogram(_seconds(RUN_BUCKETS_MS), tuple(entry["buckets"]), entry["ms"] / 1000), {"playbook": name})
            for name, entry in playbooks
        ],
        "s",
    )
    for key, name, text, unit in (
        ("time", "last_run_timestamp_seconds", "When the last run of the playbook ended.", "s"),
        ("success", "last_success_timestamp_seconds", "When the last successful run of the playbook ended.", "s"),
        ("duration_ms", "last_run_duration_seconds", "Duration of the last run of the playbook.", "s"),
        ("changed", "last_run_changed", "Changed task results of the playbook's last run, all hosts.", "1"),
        ("failed", "last_run_failed", "Failed task results of the playbook's last run, all hosts.", "1"),
        ("unreachable", "last_run_unreachable", "Unreachable hosts of the playbook's last run.", "1"),
    ):
        samples = []
        for playbook, entry in playbooks:
            value = entry.get("last", {}).get(key)
            if value is not None and (value or key != "success"):
                samples.append(Sample(value / 1000 if key == "duration_ms" else value, {"playbook": playbook}))
        yield Family(name, "gauge", text, samples, unit)
    yield Family("events_lost_total", "counter", "Events that could not be recorded.", [Sample(counters["lost"])])


def _of_results(counters: Mapping) -> Iterable[Family]:
    for table, label, prefix, of in (
        ("modules", "module", "task", "module"),
        ("groups", "group", "group_task", "host group; a host may be in several"),
    ):
        entries = sorted(counters[table].items())
        yield Family(
            f"{prefix}_results_total",
            "counter",
            f"Task results by status and {of}.",
            [
                Sample(entry.get(status, 0), {label: name, "status": status})
                for name, entry in entries
                for status in STATUSES
            ],
        )
        yield Family(
            f"{prefix}_seconds_total",
            "counter",
            f"Time spent on task results by {of}.",
            [Sample(entry.get("ms", 0) / 1000, {label: name}) for name, entry in entries],
            "s",
        )
    buckets = tuple(counters["task_buckets"])
    histogram = Histogram(_seconds(TASK_BUCKETS_MS), buckets, counters["task_ms"] / 1000)
    yield Family("task_duration_seconds", "histogram", "Duration of task results.", [Sample(histogram)], "s")
    yield from _of_guards(counters["guards"])


def _of_guards(counts: Mapping) -> Iterable[Family]:
    if not counts:
        return
    text = "Decisions of guarded tasks: attempts, waits, trips and probes of circuits, cache hits and so on."
    samples = [Sample(counts.get(decision, 0), {"decision": decision}) for decision in GUARD_DECISIONS]
    yield Family("guard_decisions_total", "counter", text, samples)
    waited = Sample(counts.get("wait_ms", 0) / 1000)
    yield Family("guard_wait_seconds_total", "counter", "Time that guarded tasks waited.", [waited], "s")


def _json(path: str) -> dict:
    try:
        found = json.loads(read_bytes(path) or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _of_trail(directory: str) -> Iterable[Family]:
    state = _json(os.path.join(directory, _STATE))
    entries = state.get("entries")
    if isinstance(entries, int):
        yield Family("log_entries", "gauge", "Entries of the log.", [Sample(entries)])
    yield Family("log_size_bytes", "gauge", "Bytes of the log's segments.", [Sample(_log_bytes(directory))], "By")
    verification = _json(os.path.join(directory, VERIFICATION_NAME))
    if "ok" not in verification:
        return
    for value, name, text, unit in (
        (_moment(verification.get("time")), "verification_timestamp_seconds", "When the log was last verified.", "s"),
        (int(bool(verification["ok"])), "verification_ok", "Whether the log verified then (1) or not (0).", "1"),
        (verification.get("entries"), "verification_entries", "Entries that were verified then.", "1"),
    ):
        if isinstance(value, (int, float)):
            yield Family(name, "gauge", text, [Sample(value)], unit)


def _moment(value: object) -> object:
    """Return seconds since the epoch, also of a time as the log spells it."""
    if isinstance(value, str):
        try:
            return int(datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp())
        except ValueError:
            return None
    return value


def _log_bytes(directory: str) -> int:
    total = 0
    for folder, suffixes in ((directory, ("audit.jsonl",)), (os.path.join(directory, "segments"), (".jsonl", ".gz"))):
        try:
            with os.scandir(folder) as found:
                total += sum(entry.stat().st_size for entry in found if entry.name.endswith(suffixes))
        except OSError:
            continue  # not there yet, or a segment went away: the next time counts it
    return total


def _of_witnesses(directory: str) -> Iterable[Family]:
    folder = os.path.join(directory, WITNESS_DIRECTORY)
    try:
        names = sorted(name[:-5] for name in os.listdir(folder) if name.endswith(".json") and not name.startswith("."))
    except OSError:
        return
    states = [(name, _json(os.path.join(folder, f"{name}.json"))) for name in names]
    for part, key, name, text, unit in (
        ("witnessed", "size", "witness_size", "Entries under the newest checkpoint that the witness holds.", "1"),
        ("witnessed", "time", "witness_timestamp_seconds", "When the witness last took a checkpoint.", "s"),
        ("pending", "since", "witness_pending_since_timestamp_seconds", "Since when a checkpoint waits for it.", "s"),
    ):
        samples = []
        for witness, state in states:
            value = (state.get(part) or {}).get(key)
            if isinstance(value, (int, float)):
                samples.append(Sample(value, {"witness": witness}))
        yield Family(name, "gauge", text, samples, unit)


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _labels(labels: Mapping[str, str], **more: str) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in {**labels, **more}.items())
    return f"{{{pairs}}}" if pairs else ""


def _lines(name: str, sample: Sample) -> Iterable[str]:
    value = sample.value
    if not isinstance(value, Histogram):
        yield f"{name}{_labels(sample.labels)} {value!r}"
        return
    total = 0
    for bound, count in zip((*(f"{bound:g}" for bound in value.bounds), "+Inf"), value.counts):
        total += count
        yield f"{name}_bucket{_labels(sample.labels, le=bound)} {total}"
    yield f"{name}_sum{_labels(sample.labels)} {value.total!r}"
    yield f"{name}_count{_labels(sample.labels)} {total}"


def prometheus_text(families: Iterable[Family]) -> str:
    """Return the metrics in Prometheus' text format."""
    lines = []
    for family in families:
        name = PREFIX + family.name
        lines += [f"# HELP {name} {family.text}", f"# TYPE {name} {family.kind}"]
        for sample in family.samples:
            lines.extend(_lines(name, sample))
    return "\n".join(lines) + "\n"
