# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``toolkit audit deliver``, ``witness`` and ``metrics``: checkpoints to witnesses, figures to servers."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from ...plugins.module_utils._audit.metrics.counters import MetricsSink, load_counters
from ...plugins.module_utils._audit.metrics.figures import WITNESS_DIRECTORY, collect, prometheus_text
from ...plugins.module_utils._audit.metrics.targets import load_targets
from ...plugins.module_utils._audit.store.integrator import integrate
from ...plugins.module_utils._audit.store.lock import LogLock
from ...plugins.module_utils._audit.store.segments import entries
from ...plugins.module_utils._core.errors import NotFoundError, ToolkitError, UnavailableError
from ...plugins.plugin_utils._audit import standing
from ...plugins.plugin_utils._audit.deliver import Delivery, deliver
from ...plugins.plugin_utils._audit.witnesses import Reading, newest_checkpoint, read_back
from ..output import print_json, progress, table
from ..version import collection_version
from . import log_directory

__all__ = ["register"]

_WITNESS = """\
Witnesses hold signed checkpoints of the log out of reach of whoever can write it, so that `toolkit audit verify` can
tell a log that was changed, cut or replaced. They are what the callback's option witnesses named in the last run.

  toolkit audit witness list      the witnesses
  toolkit audit witness state     what each took last, what waits for it and why; --ask asks them what they hold
  toolkit audit witness push      hand them the newest checkpoint now"""

_DELIVER = """\
Hand the newest checkpoint to the witnesses and the metrics to their servers, once. A run does that at its end by
itself, in a process that nobody waits for; call this from a timer so that what failed then is caught up without a run.
After a failure a target is left alone for 30 seconds, then twice as long each time, up to an hour."""

_METRICS = """\
Print the metrics in Prometheus' text format. They are counters that outlive the runs; where they were lost or damaged,
--rebuild counts the runs of the log anew."""


def register(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the commands."""

    def add(name: str, text: str, description: str) -> argparse.ArgumentParser:
        raw = argparse.RawDescriptionHelpFormatter
        return commands.add_parser(name, help=text, description=description, parents=[common], formatter_class=raw)

    parser = add("deliver", "hand checkpoints to witnesses and metrics to servers", _DELIVER)
    parser.add_argument("--now", action="store_true", help="also to those that failed so lately that they would wait")
    parser.add_argument("--quiet", action="store_true", help="say nothing; toolkit audit witness state tells later")
    parser.set_defaults(run=_deliver)
    parser = add("witness", "list witnesses, tell how they stand, hand them the newest checkpoint", _WITNESS)
    parser.add_argument("action", choices=("list", "state", "push"), metavar="list|state|push")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these witnesses")
    parser.add_argument("--ask", action="store_true", help="with state: ask the witnesses what they hold")
    parser.set_defaults(run=_witness)
    parser = add("metrics", "print the metrics of all runs", _METRICS)
    parser.add_argument("--rebuild", action="store_true", help="count anew from the log; pruned runs are not in it")
    parser.set_defaults(run=_metrics)


def _directory(options: argparse.Namespace) -> str:
    directory = log_directory(options)
    if not os.path.isdir(directory):
        raise NotFoundError(f"There is no audit trail in {directory}.", hint="Name it with --log-directory.")
    return directory


def _deliver(options: argparse.Namespace) -> int:
    directory = _directory(options)
    return _show(deliver(directory, now=options.now, version=collection_version()), options)


def _show(deliveries: Sequence[Delivery] | None, options: argparse.Namespace) -> int:
    quiet = getattr(options, "quiet", False)
    if deliveries is None:
        if not quiet:
            progress("Another process is delivering; it does this work too.")
        return 0
    failed = any(delivery.outcome == "failed" for delivery in deliveries)
    if options.json:
        print_json([_plain(delivery) for delivery in deliveries])
    elif not quiet and deliveries:
        rows = [
            (delivery.name or "-", _shown(delivery.target), delivery.outcome, _why(delivery.error, delivery.standing))
            for delivery in deliveries
        ]
        print(table(("NAME", "TARGET", "OUTCOME", "WHY"), rows))
    elif not quiet:
        progress("There is nothing to deliver to.")
    return int(failed)


def _plain(delivery: Delivery) -> dict:
    return {
        "kind": {WITNESS_DIRECTORY: "witness", standing.SINK_DIRECTORY: "sink"}.get(delivery.group, delivery.group),
        "name": delivery.name,
        "target": delivery.target,
        "outcome": delivery.outcome,
        "error": delivery.error.as_dict() if delivery.error else None,
        "state": asdict(delivery.standing) if delivery.standing else None,
    }


def _shown(target: str) -> str:
    """Return what names a target on the screen: not its key."""
    return ascii(target.partition("#")[0])[1:-1]


def _why(error: ToolkitError | None, state: standing.Standing | None) -> str:
    if error:
        return error.message + (f" {error.hint}" if error.hint else "")
    return str((state.error or {}).get("message", "")) if state else ""


def _moment(seconds: object) -> str:
    if not isinstance(seconds, int) or not 0 < seconds < 1 << 40:
        return "-"
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _witness(options: argparse.Namespace) -> int:
    directory = _directory(options)
    targets = load_targets(directory)
    unknown = set(options.names) - {target.name for target in targets.witnesses}
    if unknown:
        known = ", ".join(target.name for target in targets.witnesses) or "none"
        raise NotFoundError(f"There is no witness {sorted(unknown)[0]}.", hint=f"There are {known}.")
    if options.action == "push":
        done = deliver(directory, True, (WITNESS_DIRECTORY,), tuple(options.names), collection_version())
        return _show(done, options)
    for _text, error in targets.wrong:
        print(f"toolkit: {error.as_result()['msg']}", file=sys.stderr)
    witnesses = [target for target in targets.witnesses if not options.names or target.name in options.names]
    if options.action == "list":
        if options.json:
            print_json([{"name": target.name, "kind": target.kind, "target": target.text} for target in witnesses])
        elif witnesses:
            print(table(("NAME", "WITNESS"), [(target.name, _shown(target.text)) for target in witnesses]))
        else:
            progress("No witnesses are named: a change of this log by its owner can't be proved.")
        return int(bool(targets.wrong))
    readings = {reading.target.name: reading for reading in read_back(directory)} if options.ask else {}
    newest = newest_checkpoint(directory)
    size = newest.checkpoint.size if newest else 0
    rows, found, bad = [], [], bool(targets.wrong)
    for target in witnesses:
        state = standing.load(directory, WITNESS_DIRECTORY, target.name, target.text)
        reading = readings.get(target.name)
        bad = bad or state.failures > 0 or bool(reading and reading.error)
        held = _holds(reading) if reading else state.size
        behind = str(max(size - held, 0)) if held is not None else "?"
        error = reading.error if reading and reading.error else None
        at = _moment((state.witnessed or {}).get("time"))
        again = _moment(state.next_attempt) if state.failures else "-"
        rows.append((target.name, "?" if held is None else str(held), behind, at, again, _why(error, state)))
        found.append(
            {
                "name": target.name,
                "target": target.text,
                "entries": size,
                "holds": held,
                "asked": reading is not None,
                "error": error.as_dict() if error else state.error,
                "state": asdict(state),
            }
        )
    if options.json:
        print_json(found)
    else:
        print(table(("NAME", "HOLDS", "BEHIND", "SINCE", "NEXT TRY", "WHY"), rows))
    return int(bad)


def _holds(reading: Reading) -> int | None:
    """Return how many entries the newest checkpoint covers that the witness holds; its signatures are not verified."""
    if reading.size is not None:
        return reading.size
    sizes = [0]
    for note in reading.notes:
        words = note.split(b"\n", 2)
        sizes.append(int(words[1]) if len(words) > 1 and words[1].isdigit() and len(words[1]) < 20 else 0)
    return None if reading.error else max(sizes)


def _rebuild(directory: str) -> None:
    lock = LogLock(directory)
    if not lock.acquire():
        raise UnavailableError("A run is writing the log.", hint="Try again in a moment.")
    try:
        runs = MetricsSink(directory, load_targets(directory).metrics_path).rebuild(_ends(directory))
    finally:
        lock.release()
    integrate(directory, MetricsSink(directory, None).fold)  # a run that ended meanwhile left its journal to us
    progress(f"Counted {runs} runs.")


def _ends(directory: str) -> Iterator[dict]:
    for _index, line in entries(directory):
        if b'"event_type":"EXECUTION_END"' in line or b'"event_type":"INTERRUPTED"' in line:
            entry = json.loads(line)
            if entry.get("event_type") in ("EXECUTION_END", "INTERRUPTED") and entry.get("run_id"):
                yield entry


def _metrics(options: argparse.Namespace) -> int:
    directory = _directory(options)
    if options.rebuild:
        _rebuild(directory)
    families = collect(directory, load_counters(directory))
    if options.json:
        print_json([asdict(family) for family in families])
    else:
        sys.stdout.write(prometheus_text(families))
    return 0
