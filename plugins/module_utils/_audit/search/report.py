# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report on a period: what ran, how it ended, what failed, what was touched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from .index.index import Index
from .index.rows import stamp
from .query import Filters
from .render import clean, markdown, markdown_table, table, what

__all__ = ["build_report", "report_markdown", "report_text"]

_TOP = 10
_NEWEST = 20
_END_EVENTS = ("EXECUTION_END", "INTERRUPTED")


def build_report(index: Index, filters: Filters, top: int = _TOP) -> dict:
    """Return the report on the entries that match.

    :param top: length of every list of names, most first; lists of single entries have twice as many, newest first.
    :return: ``period``, ``entries``, ``events``, ``runs``, ``scripts``, ``users``, ``results``, ``failures``,
        ``sensitive``, ``files``, ``changed``.
    """

    def only(**fields: Sequence[str]) -> Filters:
        return replace(filters, fields={**filters.fields, **{name: tuple(values) for name, values in fields.items()}})

    span = index.span(filters)
    results = only(event=("TASK_RESULT",))
    failed = only(event=("TASK_RESULT",), status=("failed", "unreachable"))
    runs, scripts, users = _runs(index.each(only(event=_END_EVENTS)), top)
    runs["started"] = index.count(only(event=("EXECUTION_START",)))
    events = index.counts("event", filters)
    return {
        "period": {
            "since": None if filters.since is None else stamp(filters.since),
            "until": None if filters.until is None else stamp(filters.until),
            "first": stamp(span[0]) if span else None,
            "last": stamp(span[1]) if span else None,
        },
        "entries": sum(events.values()),
        "events": events,
        "runs": runs,
        "scripts": scripts,
        "users": users,
        "results": index.counts("status", results),
        "failures": {
            "total": index.count(failed),
            "hosts": _first(index.counts("host", failed), top),
            "newest": [_told(entry) for entry in index.search(failed, 2 * top).entries],
        },
        "sensitive": _sensitive(index, only(event=("SENSITIVE_ACCESS",)), top),
        "files": _files(index, only(event=("FILE_MODIFICATION",)), top),
        "changed": {"hosts": _first(index.counts("host", only(event=("TASK_RESULT",), status=("changed",))), top)},
    }


def _first(counts: Mapping, top: int) -> list[dict]:
    """Return the first ``top`` of counts that are in order."""
    return [{"name": name, "count": count} for name, count in list(counts.items())[:top]]


def _rate(succeeded: int, total: int) -> float | None:
    return round(succeeded / total, 4) if total else None


def _runs(ends: Iterable[dict], top: int) -> tuple[dict, list[dict], list[dict]]:
    statuses: Counter = Counter()
    scripts: dict[str, Counter] = {}
    users: dict[str, Counter] = {}
    last: dict[str, str] = {}
    milliseconds = 0
    for entry in ends:
        details = entry["details"] if isinstance(entry["details"], dict) else {}
        status = str(details.get("status"))
        statuses[status] += 1
        if isinstance(details.get("duration_ms"), int):
            milliseconds += details["duration_ms"]
        for known, name in ((scripts, "script"), (users, "user")):
            known.setdefault(str(entry.get(name)), Counter())[status] += 1
        last[str(entry.get("script"))] = entry["timestamp"]
    ended = sum(statuses.values())
    runs = {
        "ended": ended,
        "statuses": dict(statuses.most_common()),
        "success_rate": _rate(statuses["success"], ended),
        "seconds": round(milliseconds / 1000, 1),
    }

    def ranked(known: dict[str, Counter]) -> list[dict]:
        order = sorted(known, key=lambda name: (-sum(known[name].values()), name))[:top]
        return [
            {
                "name": name,
                "runs": sum(known[name].values()),
                "success": known[name]["success"],
                "success_rate": _rate(known[name]["success"], sum(known[name].values())),
                **({"last": last[name]} if known is scripts else {}),
            }
            for name in order
        ]

    return runs, ranked(scripts), ranked(users)


def _told(entry: Mapping) -> dict:
    details = entry["details"] if isinstance(entry["details"], dict) else {}
    told = {"time": entry["timestamp"], "run_id": entry.get("run_id"), "user": entry.get("user"), "what": what(entry)}
    for name in ("host", "status", "path", "reason", "access", "operation"):
        if details.get(name) is not None:
            told[name] = details[name]
    return told


def _sensitive(index: Index, filters: Filters, top: int) -> dict:
    kinds: Counter = Counter()
    for entry in index.each(filters):
        details = entry["details"] if isinstance(entry["details"], dict) else {}
        kinds[f"{details.get('reason')} {details.get('access')}"] += 1
    return {
        "total": sum(kinds.values()),
        "kinds": _first(dict(kinds.most_common()), top),
        "users": _first(index.counts("user", filters), top),
        "newest": [_told(entry) for entry in index.search(filters, 2 * top).entries],
    }


def _files(index: Index, filters: Filters, top: int) -> dict:
    operations: Counter = Counter()
    for entry in index.each(filters):
        details = entry["details"] if isinstance(entry["details"], dict) else {}
        operations[str(details.get("operation"))] += 1
    return {
        "total": sum(operations.values()),
        "operations": dict(operations.most_common()),
        "paths": _first(index.counts("path", filters), top),
        "hosts": _first(index.counts("host", filters), top),
        "newest": [_told(entry) for entry in index.search(filters, 2 * top).entries],
    }


def _percent(rate: float | None) -> str:
    return "" if rate is None else f"{rate:.1%}"


def _sections(report: Mapping) -> Iterable[tuple[str, Sequence[str], list[tuple]]]:
    """Yield ``(title, header, rows)`` of everything but the heading."""
    counted = ("Name", "Count")

    def counts(entries: Iterable[Mapping]) -> list[tuple]:
        return [(entry["name"], entry["count"]) for entry in entries]

    def newest(entries: Iterable[Mapping]) -> list[tuple]:
        return [
            (entry["time"][:19].replace("T", " "), entry.get("host"), entry.get("user"), str(entry.get("run_id"))[-8:],
             entry["what"])
            for entry in entries
        ]  # fmt: skip

    single = ("Time", "Host", "User", "Run", "What")
    ranked = [(entry["name"], entry["runs"], _percent(entry["success_rate"]), entry["last"][:19].replace("T", " "))
              for entry in report["scripts"]]  # fmt: skip
    yield "Events by type", counted, list(report["events"].items())
    yield "Task results by status", counted, list(report["results"].items())
    yield "Most run scripts", ("Script", "Runs", "Success", "Last"), ranked
    yield (
        "Users",
        ("User", "Runs", "Success"),
        [(entry["name"], entry["runs"], _percent(entry["success_rate"])) for entry in report["users"]],
    )
    yield f"Failures: {report['failures']['total']}, by host", counted, counts(report["failures"]["hosts"])
    yield "Newest failures", single, newest(report["failures"]["newest"])
    yield f"Sensitive access: {report['sensitive']['total']}", counted, counts(report["sensitive"]["kinds"])
    yield "Newest sensitive access", single, newest(report["sensitive"]["newest"])
    operations = ", ".join(f"{count} {name}" for name, count in report["files"]["operations"].items())
    title = f"Changed files: {report['files']['total']}{f' ({operations})' if operations else ''}"
    yield title, ("Path", "Count"), counts(report["files"]["paths"])
    yield "Newest changed files", single, newest(report["files"]["newest"])
    yield "Most changed hosts", counted, counts(report["changed"]["hosts"])


def _heading(report: Mapping) -> list[tuple[str, str]]:
    period, runs = report["period"], report["runs"]
    statuses = ", ".join(f"{count} {name}" for name, count in runs["statuses"].items())
    since = period["since"] or period["first"] or "the beginning"
    return [
        ("Period", f"{since} to {period['until'] or period['last'] or 'now'}"),
        ("Entries", str(report["entries"])),
        ("Runs", f"{runs['started']} started, {runs['ended']} ended{f' ({statuses})' if statuses else ''}"),
        ("Success rate", _percent(runs["success_rate"]) or "no run ended"),
        ("Time in runs", f"{runs['seconds']} s"),
    ]


def report_text(report: Mapping, columns: int = 0) -> str:
    """Return the report for a terminal of that width (0: unlimited)."""

    def aligned(header: Sequence[str], rows: list[tuple]) -> str:
        return table([name.upper() for name in header], rows, columns)

    def underlined(title: str) -> str:
        return f"\n{title}\n{'-' * len(title)}"

    return _assemble(report, clean, aligned, underlined, "Audit report\n============", "{}: {}")


def report_markdown(report: Mapping) -> str:
    """Return the report in GitHub's Markdown."""
    return _assemble(
        report, markdown, markdown_table, lambda title: f"\n## {title}\n", "# Audit report\n", "- **{}**: {}"
    )


def _assemble(
    report: Mapping,
    safe: Callable[[object], str],
    make_table: Callable[[Sequence[str], list[tuple]], str],
    heading: Callable[[str], str],
    first: str,
    line: str,
) -> str:
    parts = [first, *(line.format(name, safe(value)) for name, value in _heading(report))]
    for title, header, rows in _sections(report):
        if rows:
            parts += [heading(safe(title)), make_table(header, rows)]
    return "\n".join(parts) + "\n"
