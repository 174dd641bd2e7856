# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``toolkit audit integrate``, ``import``, ``prune`` and ``erase``: what changes the log."""

from __future__ import annotations

import argparse
import os
import sys

from ...plugins.module_utils._audit.metrics.counters import MetricsSink
from ...plugins.module_utils._audit.search.index.index import Index
from ...plugins.module_utils._audit.search.index.sqlite import INDEX_NAME
from ...plugins.module_utils._audit.store.erase import entries_of_run, erase
from ...plugins.module_utils._audit.store.imports import import_journals
from ...plugins.module_utils._audit.store.integrator import integrate
from ...plugins.module_utils._audit.store.log import Log, settings_of
from ...plugins.module_utils._audit.store.prune import prune
from ...plugins.module_utils._core.errors import NotFoundError, ToolkitError, UnsafeError, ValidationError
from ..output import print_json, progress, table
from . import log_directory

__all__ = ["register"]

_INTEGRATE = """\
Take the journals of all runs that ended, or were killed, into the log, repair what a crash left, close a segment that
is due, and sign the log. Every run does this at its end; a timer that calls it leaves nothing to the next run."""

_IMPORT = """\
Import journals and logs of containers and other machines. SOURCE is a journal, a log or a segment (also .jsonl.gz),
or a directory with them, such as a copied log directory. Each line must be a record in canonical form; what another log
wrote about itself is left out. Importing twice adds nothing."""

_PRUNE = """\
Remove the oldest entries. Their hashes stay, so the log still verifies, and the log records what went. Up to 255
entries more than asked for stay. Nothing is ever pruned unless this is called."""

_ERASE = """\
Erase single entries for good, with the side blobs they name. Their hashes stay, so the log still verifies, and the log
records each erasure with its reason. The events that the log writes about itself can't be erased. Copies elsewhere
(backups, shipped logs, what was kept under damaged/) are not touched."""


def register(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the commands."""

    def add(name: str, text: str, description: str, run) -> argparse.ArgumentParser:
        raw = argparse.RawDescriptionHelpFormatter
        parser = commands.add_parser(name, help=text, description=description, parents=[common], formatter_class=raw)
        parser.set_defaults(run=run)
        return parser

    def waits(parser: argparse.ArgumentParser) -> None:
        text = "how long to wait while another process has the log (60)"
        parser.add_argument("--wait", type=float, default=60.0, metavar="SECONDS", help=text)

    waits(add("integrate", "take ended runs into the log and sign it", _INTEGRATE, _integrate))

    parser = add("import", "import journals of containers and other machines", _IMPORT, _import)
    parser.add_argument("sources", nargs="+", metavar="SOURCE")
    text = "leave out lines that are no records instead of refusing their source"
    parser.add_argument("--skip-damaged", action="store_true", help=text)
    waits(parser)

    parser = add("prune", "remove the oldest entries", _PRUNE, _prune)
    limit = parser.add_mutually_exclusive_group(required=True)
    limit.add_argument("--older-than", type=_days, metavar="DAYS", help="what is older than so many days, such as 90")
    limit.add_argument("--keep", type=int, metavar="N", help="all but the newest N entries")
    parser.add_argument("--dry-run", action="store_true", help="only say what would go")
    waits(parser)

    parser = add("erase", "erase single entries and keep their hashes", _ERASE, _erase)
    parser.add_argument("entries", nargs="*", metavar="ENTRY", help="index of an entry, or a range such as 17-20")
    parser.add_argument("--run", dest="run_id", metavar="RUN", help="all entries of this run")
    parser.add_argument("--reason", required=True, help="why, for the record")
    parser.add_argument("--yes", action="store_true", help="erase; without it the entries are only counted")
    waits(parser)


def _days(text: str) -> float:
    days = float(text[:-1] if text.endswith("d") else text)
    if days < 0:
        raise ValueError
    return days


def _existing(options: argparse.Namespace) -> str:
    directory = log_directory(options)
    if not os.path.isdir(directory):
        raise NotFoundError(f"There is no audit trail in {directory}.", hint="Name it with --log-directory.")
    return directory


def _warn(text: str) -> None:
    print(f"toolkit: {text}", file=sys.stderr)


def _integrate(options: argparse.Namespace) -> int:
    directory = _existing(options)
    with Log.wait(directory, options.wait, _warn) as log:
        before = log.entries
    metrics = MetricsSink(directory, settings_of(directory).get("metrics_path"))
    done = integrate(directory, metrics.fold, _warn)
    if done:
        metrics.publish()
    with Log.wait(directory, options.wait) as log:
        told = {"runs": done, "entries": log.entries, "added": log.entries - before}
    if options.json:
        print_json(told)
    else:
        print(f"{len(done)} runs taken in; the log has {told['entries']} entries, {told['added']} of them new.")
    return 0


def _import(options: argparse.Namespace) -> int:
    directory = log_directory(options)
    show = None if options.json else lambda path: progress(f"Importing {path}")
    told = import_journals(directory, options.sources, options.skip_damaged, _warn, options.wait, show)
    if options.json:
        print_json(told)
        return 0
    header = ("SOURCE", "ADDED", "KNOWN", "OF THE LOG ITSELF", "DAMAGED", "RUNS")
    rows = [
        [str(each[name]) for name in ("source", "entries", "known", "own_events", "damaged", "runs")] for each in told
    ]
    print(table(header, [[ascii(row[0])[1:-1], *row[1:]] for row in rows]))
    return 0


def _prune(options: argparse.Namespace) -> int:
    directory = _existing(options)
    told = prune(directory, options.older_than, options.keep, options.dry_run, _warn, options.wait)
    if not options.dry_run:
        _follow_in_index(directory)
    if options.json:
        print_json(told)
        return 0
    verb = "would go" if options.dry_run else "are gone"
    print(
        f"{told['entries']} entries {verb}, with {told['segments']} whole segments and {told['blobs']} side blobs; "
        f"the log begins with entry {told['minimum_index']}."
    )
    return 0


def _erase(options: argparse.Namespace) -> int:
    directory = _existing(options)
    if bool(options.entries) == bool(options.run_id):
        raise ValidationError("Name either entries or --run.")
    indexes = entries_of_run(directory, options.run_id) if options.run_id else _indexes(options.entries)
    if not options.yes:
        raise UnsafeError(
            f"This would erase {len(indexes)} entries for good.", hint="Say --yes if that is what you want."
        )
    told = erase(directory, indexes, options.reason, _warn, options.wait)
    _follow_in_index(directory)
    if options.json:
        print_json(told)
    else:
        print(f"{len(told['erased'])} entries and {told['blobs']} side blobs are erased; the log records it.")
    return 0


def _follow_in_index(directory: str) -> None:
    """Let what is gone from the log be gone from the index too, where there is one; else the next search does it."""
    where = os.environ.get("SCRIPTS_TOOLKIT_AUDIT_INDEX")
    if not where and not os.path.exists(os.path.join(directory, INDEX_NAME)):
        return
    try:
        with Index(directory, where) as index:
            index.catch_up()
    except ToolkitError as error:
        progress(f"The index still has what is gone from the log, until the next search: {error.as_result()['msg']}")


def _indexes(words: list[str]) -> list[int]:
    found: list[int] = []
    for word in words:
        first, _dash, last = word.partition("-")
        if not first.isdecimal() or not (last or first).isdecimal():
            hint = "Name the index of an entry, or a range such as 17-20."
            raise ValidationError(f"{word!r} is no entry.", hint=hint)
        if int(last or first) - int(first) >= 1_000_000:
            raise ValidationError(f"{word!r} is too much at once.")
        found += range(int(first), int(last or first) + 1)
    return found
