# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program of the monitor on its host: one round of probes, the delivery of notifications, and what is known.

systemd starts ``run`` by a timer and ``notify`` after it, each in a process of its own. Needs Python 3.9 and its
standard library only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from ..._core.errors import ConflictError, ToolkitError
from ..._core.outcomes import error_from_os
from ..history import History
from .notify import deliver
from .probing import check_probe, probe_once
from .rounds import keep_round
from .settings import Settings, read_settings
from .store import Store

__all__ = ["CONFIGURATION", "STATE", "main"]

CONFIGURATION = "/etc/scripts-toolkit/network-monitor.json"
STATE = "/var/lib/scripts-toolkit/network-monitor"
_LAST = 20
"""So many scores of each target are shown."""


def main(argv: Sequence[str] | None = None, write: Callable[[str], object] | None = None) -> int:
    """Run the command line and return its exit status: 0, 1 when it failed, 2 for a wrong command line.

    :param write: takes what is to be printed; standard output by default.
    """
    options = _parser().parse_args(argv)
    say = write or sys.stdout.write
    try:
        return options.run(options, say)
    except ToolkitError as error:
        result = error.as_result()
    except OSError as error:
        result = error_from_os(error).as_result()
    sys.stderr.write(f"{result['msg']}\n")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="network-monitor", description="The network monitor of scripts.toolkit.")
    parser.add_argument("--config", metavar="FILE", default=CONFIGURATION, help=f"default: {CONFIGURATION}")
    parser.add_argument("--state", metavar="DIRECTORY", default=STATE, help=f"default: {STATE}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    commands.add_parser("run", help="probe once and keep what was found").set_defaults(run=_run)
    commands.add_parser("notify", help="send the notifications that wait").set_defaults(run=_notify)
    commands.add_parser("check", help="check the configuration").set_defaults(run=_check)
    status = commands.add_parser("status", help="show alerts, scores and what waits to be sent")
    status.add_argument("--json", action="store_true", help="as JSON")
    status.set_defaults(run=_status)
    return parser


def _run(options: argparse.Namespace, say: Callable[[str], object]) -> int:
    settings, store = read_settings(options.config), Store(options.state)
    with store.alone("round"):
        summary = keep_round(store, settings, probe_once(settings.probe), time.time())
    say(
        f"{summary['targets']} targets, {summary['failed']} failed, {summary['alerting']} in alert,"
        f" score {summary['score']}\n"
    )
    for event in summary["events"]:
        say(f"{event['type']}: {_plain(event['message'])}\n")
    return 0


def _notify(options: argparse.Namespace, say: Callable[[str], object]) -> int:
    settings, store = read_settings(options.config), Store(options.state)
    try:
        with store.alone("delivery"):
            arrived, troubles = asyncio.run(deliver(store, settings.hooks))
    except ConflictError:
        # The other one empties the outbox, and what it misses is sent after the next round.
        return 0
    if arrived:
        say(f"notifications that arrived: {arrived}\n")
    for trouble in troubles:
        sys.stderr.write(f"{_plain(trouble)}\n")
    return 1 if troubles else 0


def _check(options: argparse.Namespace, _say: Callable[[str], object]) -> int:
    check_probe(read_settings(options.config).probe)
    return 0


def _status(options: argparse.Namespace, say: Callable[[str], object]) -> int:
    settings, store = read_settings(options.config), Store(options.state)
    standings, past = store.overview(_LAST)
    by_target: dict[str, History] = {target: history for (_vantage, target), history in past.items()}
    told = {
        "targets": [
            {
                "target": target,
                "alerting": standing.alerting,
                "told": standing.told,
                "since": standing.since,
                "recent": standing.recent,
                "last": last,
                "history": by_target[target].as_dict() if target in by_target else None,
            }
            for target, (standing, last) in sorted(standings.items())
        ],
        "pending": [
            {"hook": entry.hook, "attempts": entry.attempts, "trouble": entry.trouble, "event": json.loads(entry.event)}
            for entry in store.pending()
        ],
    }
    say(json.dumps(told, indent=2, sort_keys=True) + "\n" if options.json else _text(told, settings))
    return 0


def _text(told: Mapping, settings: Settings) -> str:
    lines = [f"{'TARGET':24} {'STATE':8} {'SCORE':>5} {'FAILED':>7} {'TREND':8} LAST"]
    for entry in told["targets"]:
        last, history = entry["last"], entry["history"] or {"failure_percent": 0.0, "trend": "steady"}
        fault = last["fault"]
        what = "ok" if not last["failed"] else f"{fault['layer']}: {fault['message']}" if fault else last["grade"]
        lines.append(
            f"{_plain(entry['target']):24} {'ALERT' if entry['alerting'] else 'ok':8} {last['score']:5}"
            f" {history['failure_percent']:6.1f}% {history['trend']:8} {_plain(what)}"
        )
    for hook in settings.hooks:
        waiting = [entry for entry in told["pending"] if entry["hook"] == hook.name]
        if waiting:
            trouble = f": {_plain(waiting[0]['trouble'])}" if waiting[0]["trouble"] else ""
            lines.append(
                f"waiting for {hook.name}: {len(waiting)}, the first tried {waiting[0]['attempts']} times{trouble}"
            )
    return "\n".join(lines) + "\n"


def _plain(text: object) -> str:
    """Return text of others without control characters, which could deceive a terminal or a log."""
    return "".join(char if char.isprintable() else "?" for char in str(text))
