# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``toolkit network``: probe targets from this machine, once or until ctrl-C."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..plugins.module_utils._audit.search.render import clean, shorten, table
from ..plugins.module_utils._core.errors import ValidationError
from ..plugins.module_utils._network.monitor.probing import check_probe, probe_once
from ..plugins.module_utils._network.targets.rule_sets import RULE_SETS
from .output import print_json

__all__ = ["register"]

_PROBE = """\
Probe targets from this machine and say which layer is at fault. A target is an address, a name, NAME:PORT or a URL.

  toolkit network probe 192.0.2.7                         echo requests
  toolkit network probe db1.example.com:5432              its name, and its TCP port
  toolkit network probe https://www.example.com/          its name, port, certificate and page
  toolkit network probe db1 --rule-set open_ports         rules of your choice for all targets"""

_PROBE_CODES = """\
exit codes:
  0  the worst target is EXCELLENT or GOOD
  1  it could not be probed
  2  the command line is wrong
  3  the worst target is FAIR
  4  the worst target is CRITICAL"""

_WATCH = """\
Probe targets from this machine again and again until ctrl-C, and sum up at the end. On a terminal the picture is
renewed in place; elsewhere each target is a line each time, with the time in UTC."""

_EXIT = {"EXCELLENT": 0, "GOOD": 0, "FAIR": 3, "CRITICAL": 4}
_MARKS = {"ok": ".", "degraded": "~", "failed": "!"}
_SHOWN = 40
"""So many of the last rounds are drawn."""


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command to the parser of ``toolkit``."""
    parser = subparsers.add_parser("network", help="probe targets from this machine, once or until ctrl-C")
    parser.set_defaults(parser=parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    raw = argparse.RawDescriptionHelpFormatter
    probe = commands.add_parser(
        "probe", help="probe once and say what is wrong", description=_PROBE, epilog=_PROBE_CODES, formatter_class=raw
    )
    probe.add_argument("--json", action="store_true", help="print the result of network_probe as JSON")
    probe.set_defaults(run=_probe)
    watch = commands.add_parser("watch", help="probe until ctrl-C", description=_WATCH, formatter_class=raw)
    watch.add_argument("--interval", type=float, default=2.0, metavar="SECONDS", help="between rounds, default 2")
    watch.add_argument("--count", type=int, default=0, metavar="N", help="end after N rounds")
    watch.set_defaults(run=_watch)
    for command in (probe, watch):
        command.add_argument("targets", nargs="+", metavar="TARGET")
        command.add_argument(
            "--rule-set", action="append", default=[], choices=list(RULE_SETS), metavar="NAME", dest="rule_sets",
            help=f"instead of what fits the target: {', '.join(RULE_SETS)}; may be given again",
        )  # fmt: skip
        command.add_argument("--timeout", type=float, default=3.0, metavar="SECONDS", help="of a check, default 3")


def _wishes(options: argparse.Namespace) -> dict:
    """Return the options of ``network_probe``: rules of the user's choice, or what fits the form of each target."""
    targets = [{"name": text, "address": text, "type": _type(text)} for text in dict.fromkeys(options.targets)]
    wishes: dict = {"targets": targets, "rule_sets": options.rule_sets, "timeout": options.timeout}
    if not options.rule_sets:
        kinds: dict[str, list[str]] = {}
        for text in dict.fromkeys(options.targets):
            kinds.setdefault(_kind(text), []).append(text)
        wishes["rules"] = [{"name": kind, "type": kind, "targets": names} for kind, names in kinds.items()]
    return wishes


def _type(text: str) -> str:
    if "://" in text:
        return "service"
    return "network" if "/" in text else "host"


def _kind(text: str) -> str:
    """Return the type of the rule that proves most of such a target."""
    for scheme in ("https", "http"):
        if text.startswith(f"{scheme}://"):
            return scheme
    bare = text.rpartition("]")[2] if text.startswith("[") else text
    return "tcp" if bare.count(":") == 1 else "icmp"


def _probe(options: argparse.Namespace) -> int:
    result = probe_once(_wishes(options))
    if options.json:
        print_json(result)
    else:
        print("\n".join(_told(result)))
    worst = min(result["outcomes"], key=lambda outcome: outcome["score"])
    return _EXIT[worst["grade"]]


def _told(result: Mapping) -> Iterable[str]:
    rows = [(entry["item"], entry["grade"], entry["score"], _what(entry)) for entry in result["outcomes"]]
    yield table(("TARGET", "GRADE", "SCORE", "WHAT"), rows)
    for entry in result["outcomes"]:
        if entry["fault"] and entry["fault"]["remediation"]:
            yield f"{clean(entry['item'])}: {clean(entry['fault']['remediation'])}"


def _what(outcome: Mapping) -> str:
    fault = outcome["fault"]
    if fault:
        return f"{fault['layer']} at fault: {fault['message']}"
    latency = _latency(outcome)
    return "ok" if latency is None else f"ok, {latency:.2f} ms"


def _latency(outcome: Mapping) -> float | None:
    found = [check["latency_ms"] for check in outcome["checks"] if check["latency_ms"] is not None]
    return min(found) if found else None


@dataclass
class _Seen:
    """What the rounds found of one target; of its latencies the least, the greatest, the sum and the number."""

    rounds: int = 0
    failures: int = 0
    marks: str = ""
    latencies: tuple[float, float, float, int] | None = None
    last: Mapping | None = None

    def add(self, outcome: Mapping) -> None:
        failed = outcome["fault"] is not None
        self.rounds += 1
        self.failures += failed
        state = "failed" if failed else "ok" if outcome["score"] == 100 else "degraded"
        self.marks = (self.marks + _MARKS[state])[-_SHOWN:]
        latency = _latency(outcome)
        if latency is not None:
            least, greatest, total, count = self.latencies or (latency, latency, 0.0, 0)
            self.latencies = (min(least, latency), max(greatest, latency), total + latency, count + 1)
        self.last = outcome


def _watch(options: argparse.Namespace) -> int:
    if options.interval <= 0 or options.count < 0:
        raise ValidationError("--interval must be above 0 and --count not below.", hint="Give seconds and a number.")
    wishes = check_probe(_wishes(options))
    seen = {target["name"]: _Seen() for target in wishes["targets"]}
    screen = _Screen()
    rounds = 0
    try:
        while not options.count or rounds < options.count:
            if rounds:
                time.sleep(options.interval)
            for outcome in probe_once(wishes)["outcomes"]:
                seen[outcome["item"]].add(outcome)
            rounds += 1
            screen.show(seen)
    except KeyboardInterrupt:
        pass
    screen.end(seen)
    return 0


class _Screen:
    """A picture that is renewed on a terminal, or a line for each round."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._drawn = 0

    def show(self, seen: Mapping[str, _Seen]) -> None:
        if not self._terminal:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            for name, entry in seen.items():
                print(f"{stamp} {clean(name)} {entry.last['score']} {clean(_what(entry.last))}", flush=True)
            return
        width = shutil.get_terminal_size().columns - 1
        rows = [
            (name, f"{entry.marks:>{_SHOWN}}", entry.last["score"], f"{_percent(entry)}%", _what(entry.last))
            for name, entry in seen.items()
        ]
        lines = table(("TARGET", "LAST ROUNDS", "SCORE", "FAILED", "NOW"), rows, width).split("\n")
        # Up to the first line, and each line anew: nothing flickers, and the screen's past stays.
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        print(up + "".join(f"{shorten(line, width)}\x1b[K\n" for line in lines), end="", flush=True)
        self._drawn = len(lines)

    @staticmethod
    def end(seen: Mapping[str, _Seen]) -> None:
        rows = []
        for name, entry in seen.items():
            least, greatest, total, count = entry.latencies or (0.0, 0.0, 0.0, 0)
            latency = f"{least:.2f} / {total / count:.2f} / {greatest:.2f}" if count else "-"
            rows.append((name, entry.rounds, entry.failures, f"{_percent(entry)}%", latency))
        print()
        print(table(("TARGET", "ROUNDS", "FAILED", "", "MS LEAST / MEAN / MOST"), rows))


def _percent(entry: _Seen) -> str:
    return f"{100 * entry.failures / entry.rounds:.1f}" if entry.rounds else "0.0"
