# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What changed between two runs: how they were started, what each task did on each host, how files ended up."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping

from .index.index import Index
from .query import Filters
from .render import json_text

__all__ = ["compare_runs"]

_ABOUT = ("script", "command_line", "user", "hostname", "working_directory")
_UNTOLD = frozenset(("parent_run_id",))
_LIMIT = 200


def compare_runs(index: Index, first: str, second: str, limit: int = _LIMIT) -> dict:
    """Return how the run ``second`` differs from ``first``.

    Tasks are matched by host, role, name, module, item and, where these occur more than once, their order. Memory use
    grows with the results of the first run.

    :param first: the whole id of a run, likewise ``second``.
    :param limit: entries of every list; ``totals`` counts all.
    :return: ``runs``, ``start`` (``{name: [first, second]}``), ``only_first``, ``only_second`` and ``status`` (tasks),
        ``files`` (``host``, ``path``, ``first``, ``second``: what was done and the SHA-256 after), ``slower`` (at least
        twice as long and a second more), ``totals``.
    """
    result: dict = {
        "runs": [_about(index, run) for run in (first, second)],
        "start": _start(index, first, second),
    }
    lists: dict[str, list] = {name: [] for name in ("only_first", "only_second", "status", "slower", "files")}
    totals = dict.fromkeys(lists, 0)

    def tell(kind: str, entry: dict) -> None:
        totals[kind] += 1
        if totals[kind] <= limit:
            lists[kind].append(entry)

    before = {key: (status, duration) for key, status, duration, _names in _tasks(index, first)}
    for key, status, duration, names in _tasks(index, second):
        known = before.pop(key, None)
        if known is None:
            tell("only_second", {**names, "status": status})
            continue
        if known[0] != status:
            tell("status", {**names, "first": known[0], "second": status})
        if known[1] is not None and duration is not None and duration >= 2 * known[1] and duration - known[1] >= 1000:
            tell("slower", {**names, "first_ms": known[1], "second_ms": duration})
    if before:
        for key, status, _duration, names in _tasks(index, first):
            if key in before:
                tell("only_first", {**names, "status": status})
    _files(index, first, second, tell)
    return {**result, **lists, "totals": totals}


def _about(index: Index, run: str) -> dict:
    entry = index.search(Filters({"run": (run,)}), 1, newest=False).entries[0]
    ended = index.search(Filters({"run": (run,), "event": ("EXECUTION_END", "INTERRUPTED")}), 1).entries
    details = ended[0]["details"] if ended and isinstance(ended[0]["details"], dict) else {}
    return {
        "run_id": run,
        "started": entry["timestamp"],
        **{name: entry.get(name) for name in _ABOUT},
        "status": details.get("status"),
        "duration_ms": details.get("duration_ms"),
        "totals": details.get("totals"),
    }


def _start(index: Index, first: str, second: str) -> dict:
    """Return what differs in how the runs were started: ``{dotted name: [first, second]}``."""
    told = []
    for run in (first, second):
        found = index.search(Filters({"run": (run,), "event": ("EXECUTION_START",)}), 1).entries
        entry = found[0] if found else {}
        flat = {name: entry.get(name) for name in _ABOUT}
        flat.update(_flat("", entry.get("details", {})))
        told.append(flat)
    names = [name for name in {**told[0], **told[1]} if name not in _UNTOLD]
    return {name: [part.get(name) for part in told] for name in names if told[0].get(name) != told[1].get(name)}


def _flat(prefix: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for name, entry in value.items():
            yield from _flat(f"{prefix}.{name}" if prefix else str(name), entry)
    else:
        yield prefix, value


def _tasks(index: Index, run: str) -> Iterator[tuple[bytes, object, int | None, dict]]:
    """Yield ``(key, status, milliseconds, names)`` of every task result of a run, in order."""
    times: dict[bytes, int] = {}
    for entry in index.each(Filters({"run": (run,), "event": ("TASK_RESULT",)})):
        details = entry["details"] if isinstance(entry["details"], dict) else {}
        names = {name: details.get(name) for name in ("host", "role", "task", "module", "item") if name in details}
        digest = hashlib.sha256(json_text(names).encode()).digest()[:16]
        times[digest] = number = times.get(digest, 0) + 1
        duration = details.get("duration_ms")
        key = digest + number.to_bytes(4, "big")
        yield key, details.get("status"), duration if isinstance(duration, int) else None, names


def _changes(index: Index, run: str) -> dict[tuple[str, str], dict]:
    """Return what a run did to files last: ``{(host, path): {...}}``."""
    found = {}
    for entry in index.each(Filters({"run": (run,), "event": ("FILE_MODIFICATION",)})):
        details: Mapping = entry["details"] if isinstance(entry["details"], dict) else {}
        told = {
            name: details[name]
            for name in ("operation", "sha256_after", "sha1_after", "mode", "owner")
            if name in details
        }
        found[(str(details.get("host")), str(details.get("path")))] = told
    return found


def _files(index: Index, first: str, second: str, tell: Callable[[str, dict], None]) -> None:
    before, after = _changes(index, first), _changes(index, second)
    for host, path in sorted({**before, **after}):
        old, new = before.get((host, path)), after.get((host, path))
        if old != new:
            tell("files", {"host": host, "path": path, "first": old, "second": new})
