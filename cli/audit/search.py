# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``toolkit audit search``, ``show`` and ``tail``: find entries, show a run, follow what is recorded."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable

from ...plugins.module_utils._audit.search.follow import follow
from ...plugins.module_utils._audit.search.index.index import Index
from ...plugins.module_utils._audit.search.query import FIELDS, Filters, filters_of, jmespath_filter
from ...plugins.module_utils._audit.search.render import clean, csv_row, json_text, line_of, seconds_of, table, what
from ...plugins.module_utils._core.errors import ValidationError
from ..output import ProgressBar, progress, terminal_width
from . import log_directory

__all__ = ["FORMATS", "add_filters", "add_index_options", "add_times", "open_index", "register", "wanted"]

FORMATS = ("table", "json", "jsonl", "csv")
_COLUMNS = ("TIME", "EVENT", "STATUS", "HOST", "USER", "RUN", "WHAT")
_CSV = (
    *("index", "timestamp", "event_type", "run_id", "script", "user", "hostname", "host", "status", "module", "task"),
    *("path", "duration_ms", "changed", "what"),
)
_WIDTHS = (23, 17, 11, 16, 10, 8)

_SEARCH = """\
Find entries of the trail, the newest first. Filters are joined by AND; several values of one filter by OR. * and ? are
wildcards.

  toolkit audit search permission denied              entries with both words
  toolkit audit search '"permission denied" -sudo'    the phrase, without the word
  toolkit audit search --status failed --since 2d
  toolkit audit search --host 'web*' --module copy --path /etc/nginx/
  toolkit audit search --script site.yml --user alice --since 2026-01-01 --until 2026-01-31
  toolkit audit search --status failed --where 'rc != `0` && contains(msg, `disk`)'
  toolkit audit search --event FILE_MODIFICATION --format csv >files.csv"""


def open_index(options: argparse.Namespace) -> Index:
    """Return the index that the options name, brought up to date; a progress bar shows where that takes long."""
    index = Index(log_directory(options), options.index or os.environ.get("SCRIPTS_TOOLKIT_AUDIT_INDEX"))
    if options.rebuild:
        index.rebuild()
    with ProgressBar("Indexing") as progress_bar:
        index.catch_up(progress_bar)
    for warning in index.warnings:
        progress(f"toolkit: {clean(warning)}")
    return index


def add_index_options(parser: argparse.ArgumentParser) -> None:
    """Add where the index lies."""
    parser.add_argument(
        "--index",
        metavar="FILE|DSN",
        help="a file, or postgresql://... (default: $SCRIPTS_TOOLKIT_AUDIT_INDEX, else index.sqlite beside the log)",
    )
    parser.add_argument("--rebuild", action="store_true", help="build the index anew from the log before")


def add_times(parser: argparse.ArgumentParser, since: str | None = None) -> None:
    """Add the range of time."""
    shown = f" (default: {since})" if since else ""
    parser.add_argument(
        "--since", default=since, metavar="TIME", help=f"2026-01-02, 2026-01-02T03:04:05Z, 2h, 3d, today{shown}"
    )
    parser.add_argument("--until", metavar="TIME", help="the same; a day means its end (default: now)")


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add the filters."""
    for name in FIELDS:
        parser.add_argument(
            f"--{name}", action="append", default=[], dest=f"by_{name}", metavar=name.upper(), help=_HELP[name]
        )
    parser.add_argument("--where", metavar="JMESPATH", help="only entries for whose details this holds")


_HELP = {
    "run": "the run's id, or an end of it; last, last~1",
    "event": "the event's type, such as TASK_RESULT",
    "script": "the playbook, with or without its directory",
    "user": "who ran it",
    "host": "the managed host",
    "status": "ok, changed, failed, ignored, rescued, skipped, unreachable; of a run success, failed, interrupted",
    "module": "the module, with or without its collection",
    "path": "the file; everything below it with / at the end",
    "controller": "the machine that Ansible ran on",
}


def wanted(options: argparse.Namespace) -> Filters:
    """Return the filters that the options name."""
    given = {name: getattr(options, f"by_{name}", None) for name in FIELDS}
    given.update(since=getattr(options, "since", None), until=getattr(options, "until", None))
    return filters_of({**given, "text": " ".join(getattr(options, "text", ()))})


def register(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    parser = commands.add_parser(
        "search",
        parents=[common],
        help="find entries",
        description=_SEARCH,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("text", nargs="*", metavar="WORD", help='words, "a phrase", begin*; -word: without it')
    add_filters(parser)
    add_times(parser)
    parser.add_argument("--limit", type=int, default=100, metavar="N", help="entries of a page (default: %(default)s)")
    parser.add_argument("--cursor", metavar="CURSOR", help="the page that follows; a page ends with its cursor")
    parser.add_argument("--all", action="store_true", help="all pages")
    parser.add_argument("--oldest-first", action="store_true", help="in order of time, not the newest first")
    parser.add_argument("--count", action="store_true", help="print only how many there are")
    parser.add_argument("--format", choices=FORMATS, help="default: table; --json is the same as --format json")
    add_index_options(parser)
    parser.set_defaults(run=_search)

    parser = commands.add_parser("show", parents=[common], help="show a run", description="Show a run and its entries.")
    parser.add_argument("name", nargs="?", default="last", metavar="RUN", help="its id, or an end of it; last, last~1")
    parser.add_argument("--format", choices=FORMATS, help="default: table; --json is the same as --format json")
    add_index_options(parser)
    parser.set_defaults(run=_show)

    parser = commands.add_parser(
        "tail", parents=[common], help="show the newest entries, and follow", description="Show the newest entries."
    )
    add_filters(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what is recorded, until ctrl-c")
    parser.add_argument(
        "-n", "--lines", type=int, default=10, metavar="N", help="entries before (default: %(default)s)"
    )
    parser.add_argument("--format", choices=("table", "jsonl"), default="table", help="default: %(default)s")
    add_index_options(parser)
    parser.set_defaults(run=_tail)


def _format(options: argparse.Namespace) -> str:
    return options.format or ("json" if options.json else "table")


def _cells(entry: dict) -> tuple:
    details = entry.get("details")
    details = details if isinstance(details, dict) else {}
    return (
        str(entry.get("timestamp", ""))[:23].replace("T", " "),
        entry["event_type"],
        details.get("status"),
        details.get("host"),
        entry.get("user"),
        str(entry.get("run_id", ""))[-8:],
        what(entry),
    )


def _csv_cells(entry: dict) -> list:
    details = entry.get("details")
    known = {**(details if isinstance(details, dict) else {}), **entry, "what": what(entry)}
    return [known.get(name) for name in _CSV]


def _print(entries: Iterable[dict], form: str, cursor: str | None = None) -> None:
    """Print entries; a table of few is as wide as they need, CSV and JSON lines go out one by one."""
    if form == "json":
        print(json_text({"entries": list(entries), "cursor": cursor}, indent=2))
    elif form == "csv":
        print(csv_row(_CSV))
        for entry in entries:
            print(csv_row(_csv_cells(entry)))
    elif form == "jsonl":
        for entry in entries:
            print(json_text(entry))
    else:
        print(table(_COLUMNS, [_cells(entry) for entry in entries], terminal_width()))


def _stream(entries: Iterable[dict], form: str) -> None:
    """Print any number of entries in memory that does not grow."""
    if form == "csv":
        print(csv_row(_CSV))
    elif form == "table":
        print(line_of(_COLUMNS, _WIDTHS, terminal_width()))
    for entry in entries:
        if form == "csv":
            print(csv_row(_csv_cells(entry)))
        elif form == "table":
            print(line_of(_cells(entry), _WIDTHS, terminal_width()))
        else:
            print(json_text(entry))


def _search(options: argparse.Namespace) -> int:
    if options.limit < 1:
        raise ValidationError(f"--limit={options.limit} is not a number of entries.", hint="It is 1 or more.")
    filters, holds = wanted(options), jmespath_filter(options.where)
    form, newest = _format(options), not options.oldest_first
    with open_index(options) as index:
        if options.count:
            count = index.count(filters) if holds is None else sum(1 for _entry in index.each(filters, holds=holds))
            print(json_text({"count": count}) if form == "json" else count)
        elif options.all and form != "json":
            _stream(index.each(filters, newest, holds), form)
        elif options.all:
            _print(index.each(filters, newest, holds), form)
        else:
            page = index.search(filters, options.limit, options.cursor, newest, holds)
            _print(page.entries, form, page.cursor)
            if page.cursor and form != "json":
                progress(f"There is more: --cursor {page.cursor}")
    return 0


def _show(options: argparse.Namespace) -> int:
    form = _format(options)
    with open_index(options) as index:
        run = index.run(options.name)
        entries = index.each(Filters({"run": (run,)}))
        if form == "json":
            _print(entries, form)
            return 0
        if form == "table":
            print(_summary(index, run))
        _stream(entries, form)
    return 0


def _summary(index: Index, run: str) -> str:
    """Return who ran what, when, and how it ended."""
    found = index.search(
        Filters({"run": (run,), "event": ("EXECUTION_START", "EXECUTION_END", "INTERRUPTED")}), limit=3
    )
    known = {entry["event_type"]: entry for entry in found.entries}
    first = index.search(Filters({"run": (run,)}), limit=1, newest=False).entries[0]
    end = known.get("EXECUTION_END") or known.get("INTERRUPTED")
    details = end["details"] if end and isinstance(end.get("details"), dict) else {}
    lines = [
        ("run", run),
        ("script", first.get("script")),
        ("command", first.get("command_line")),
        ("user", f"{first.get('user')} on {first.get('hostname')} in {first.get('working_directory')}"),
        ("started", first.get("timestamp")),
        ("ended", f"{end.get('timestamp')} {details.get('status')} {seconds_of(details)}" if end else "(not yet)"),
    ]
    shown = [f"{name:<9}{clean(value)}" for name, value in lines]
    hosts = details.get("hosts")
    if isinstance(hosts, dict):
        names = ("ok", "changed", "failures", "unreachable", "skipped", "rescued", "ignored")
        rows = [
            (host, *(counts.get(name, 0) for name in names))
            for host, counts in hosts.items()
            if isinstance(counts, dict)
        ]
        shown += ["", table(("HOST", *(name.upper() for name in names)), rows)]
    return "\n".join([*shown, ""])


def _tail(options: argparse.Namespace) -> int:
    filters, holds = wanted(options), jmespath_filter(options.where)
    form = "jsonl" if options.json else options.format
    directory = log_directory(options)
    followed = follow(directory) if options.follow else None
    with open_index(options) as index:
        page = index.search(filters, max(options.lines, 1), holds=holds)
        _stream(reversed(page.entries[: max(options.lines, 0)]), form)
    sys.stdout.flush()
    for record, milliseconds in followed or ():
        if filters.matches(record, milliseconds) and (holds is None or holds(record["details"])):
            shown = line_of(_cells(record), _WIDTHS, terminal_width()) if form == "table" else json_text(record)
            print(shown, flush=True)
    return 0
