# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``toolkit audit report``, ``diff``, ``profile`` and ``export``: what a period, two runs or one run tell."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping

from ...plugins.module_utils._audit.search.compare import compare_runs
from ...plugins.module_utils._audit.search.profile import GROUPS, build_profile
from ...plugins.module_utils._audit.search.query import jmespath_filter
from ...plugins.module_utils._audit.search.render import clean, json_text, markdown_table, table
from ...plugins.module_utils._audit.search.report import build_report, report_markdown, report_text
from ...plugins.module_utils._audit.search.siem import SCHEMAS
from ...plugins.module_utils._core.errors import DependencyError, ValidationError
from ...plugins.module_utils._core.files import fsync_directory
from ..output import progress, terminal_width
from .search import add_filters, add_index_options, add_times, open_index, wanted

__all__ = ["register"]

_REPORT_FORMATS = ("terminal", "markdown", "json")

_EXPORT = """\
Write the entries of a time range for other programs, the oldest first, one JSON object a line.

  toolkit audit export --format ecs --since yesterday --until yesterday --output audit.ndjson
  toolkit audit export --format ocsf --event FILE_MODIFICATION --since 1h | curl ...
  toolkit audit export --format jsonl --run 01a1fb79          as recorded, with the index of each entry
  toolkit audit export --format tlog-tiles --output DIRECTORY the whole log in the layout of C2SP tlog-tiles"""


def register(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    parser = commands.add_parser(
        "report",
        parents=[common],
        help="report on a period",
        description="Events, runs, scripts, failures, sensitive access and changed files of a period.",
    )
    add_times(parser, "7d")
    add_filters(parser)
    _add_top(parser)
    _add_format(parser)
    add_index_options(parser)
    parser.set_defaults(run=_report)

    parser = commands.add_parser(
        "diff",
        parents=[common],
        help="tell what changed between two runs",
        description="How two runs were started, what their tasks did on each host, and how files ended up.",
    )
    parser.add_argument("first", metavar="RUN", help="the run's id, or an end of it; last~1")
    parser.add_argument("second", metavar="RUN", nargs="?", default="last", help="the later one (default: last)")
    _add_top(parser, 50)
    _add_format(parser)
    add_index_options(parser)
    parser.set_defaults(run=_diff)

    parser = commands.add_parser(
        "profile",
        parents=[common],
        help="tell where the time of a run went",
        description="The tasks, roles, hosts and modules that took most time, with the 95th percentile.",
    )
    parser.add_argument(
        "name", metavar="RUN", nargs="?", default="last", help="the run's id, or an end of it; last, last~1"
    )
    _add_top(parser)
    _add_format(parser)
    add_index_options(parser)
    parser.set_defaults(run=_profile)

    parser = commands.add_parser(
        "export",
        parents=[common],
        help="export entries for other programs",
        description=_EXPORT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--format", choices=(*SCHEMAS, "jsonl", "tlog-tiles"), required=True)
    parser.add_argument(
        "--output", metavar="PATH", help="a file (for tlog-tiles a directory); default: standard output"
    )
    add_times(parser)
    add_filters(parser)
    add_index_options(parser)
    parser.set_defaults(run=_export)


def _add_top(parser: argparse.ArgumentParser, default: int = 10) -> None:
    parser.add_argument(
        "--top", type=int, default=default, metavar="N", help="length of the lists (default: %(default)s)"
    )


def _add_format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=_REPORT_FORMATS, help="default: terminal; --json is the same as json")


def _format(options: argparse.Namespace) -> str:
    if options.top < 1:
        raise ValidationError(f"--top={options.top} is not a length.", hint="It is 1 or more.")
    return options.format or ("json" if options.json else "terminal")


def _report(options: argparse.Namespace) -> int:
    form, filters = _format(options), wanted(options)
    if options.where:
        raise ValidationError("--where is for search and export.", hint="Use the other filters.")
    with open_index(options) as index:
        report = build_report(index, filters, options.top)
    if form == "json":
        print(json_text(report, indent=2))
    else:
        print(report_markdown(report) if form == "markdown" else report_text(report, terminal_width()), end="")
    return 0


def _sections(form: str, title: str, parts: Iterable[tuple[str, tuple, list[tuple]]]) -> None:
    """Print tables, each under its title."""
    print(f"# {title}" if form == "markdown" else title)
    for name, header, rows in parts:
        if rows:
            print(f"\n## {name}\n" if form == "markdown" else f"\n{name}")
            print(markdown_table(header, rows) if form == "markdown" else table(header, rows, terminal_width()))


def _profile(options: argparse.Namespace) -> int:
    form = _format(options)
    with open_index(options) as index:
        found = build_profile(index, index.run(options.name), options.top)
    if form == "json":
        print(json_text(found, indent=2))
        return 0
    header = ("NAME", "RESULTS", "TOTAL S", "SHARE", "MEAN MS", "P95 MS", "MAX MS", "SLOWEST HOST")

    def rows(entries: list[Mapping]) -> list[tuple]:
        return [
            (row["name"], row["results"], f"{row['total_ms'] / 1000:.1f}", f"{row['share']:.0%}", row["mean_ms"],
             row["p95_ms"], row["max_ms"], row["slowest_host"])
            for row in entries
        ]  # fmt: skip

    took = "" if found["duration_ms"] is None else f", {found['duration_ms'] / 1000:.1f} s"
    title = f"Run {found['run_id']}{took}, {found['results']} results, {found['total_ms'] / 1000:.1f} s of work"
    _sections(form, title, ((f"Slowest {kind}", header, rows(found[kind])) for kind in GROUPS))
    return 0


def _diff(options: argparse.Namespace) -> int:
    form = _format(options)
    with open_index(options) as index:
        found = compare_runs(index, index.run(options.first), index.run(options.second), options.top)
    if form == "json":
        print(json_text(found, indent=2))
        return 0
    first, second = found["runs"]
    totals = found["totals"]

    def task(entry: Mapping) -> str:
        item = "" if entry.get("item") is None else f" ({entry['item']})"
        role = f"{entry['role']}: " if entry.get("role") else ""
        return f"{role}{entry.get('task')}{item}"

    def file(change: Mapping | None) -> str:
        return " ".join(str(value) for value in change.values()) if change else ""

    runs = [
        (name, first[name], second[name]) for name in ("run_id", "started", "script", "user", "status", "duration_ms")
    ]
    alone = [(name, [(row.get("host"), row.get("status"), task(row)) for row in found[name]])
             for name in ("only_first", "only_second")]  # fmt: skip
    slower = [(row.get("host"), row["first_ms"], row["second_ms"], task(row)) for row in found["slower"]]
    _sections(form, f"What changed from {first['run_id']} to {second['run_id']}", [
        ("Runs", ("", "FIRST", "SECOND"), runs),
        ("Started otherwise", ("", "FIRST", "SECOND"), [(name, *both) for name, both in found["start"].items()]),
        (f"Other status: {totals['status']}", ("HOST", "FIRST", "SECOND", "TASK"),
         [(row.get("host"), row["first"], row["second"], task(row)) for row in found["status"]]),
        (f"Only in the first: {totals['only_first']}", ("HOST", "STATUS", "TASK"), alone[0][1]),
        (f"Only in the second: {totals['only_second']}", ("HOST", "STATUS", "TASK"), alone[1][1]),
        (f"Files changed otherwise: {totals['files']}", ("HOST", "PATH", "FIRST", "SECOND"),
         [(row["host"], row["path"], file(row["first"]), file(row["second"])) for row in found["files"]]),
        (f"Slower: {totals['slower']}", ("HOST", "FIRST MS", "SECOND MS", "TASK"), slower),
    ])  # fmt: skip
    return 0


def _export(options: argparse.Namespace) -> int:
    if options.format == "tlog-tiles":
        try:
            from .proof import run_export
        except ImportError as error:
            raise DependencyError(f"The layout tlog-tiles can't be written: {error}.", hint="pip install cryptography")
        if not options.output:
            raise ValidationError("tlog-tiles is a directory.", hint="Name it with --output.")
        return run_export(options)
    filters, holds = wanted(options), jmespath_filter(options.where)
    convert = SCHEMAS.get(options.format, dict)
    with open_index(options) as index:
        lines = (json_text(convert(entry)) for entry in index.each(filters, holds=holds))
        if not options.output:
            for line in lines:
                sys.stdout.write(line + "\n")
            return 0
        count = _write(os.path.abspath(options.output), lines)
    progress(f"Wrote {count} entries to {clean(options.output)}.")
    return 0


def _write(path: str, lines: Iterable[str]) -> int:
    """Write a file (0600) that is complete or not there, whatever happens; return how many lines it has."""
    directory, count = os.path.dirname(path), 0
    descriptor, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", suffix=".new", dir=directory)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as handle:
            for line in lines:
                handle.write(line + "\n")
                count += 1
            handle.flush()
            os.fsync(handle.fileno())
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    fsync_directory(directory)
    return count
