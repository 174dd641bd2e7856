# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processor time of the audit callback per task result, beside that of a bare appender of the same fields.

``in_the_run``: a real run of 1,000 cheap results in this process calls both; the time is that of the calling thread.
``replayed``: both are called with what that run told its callbacks, in turn, several times; the time is that of all
threads, so what the thread that makes lines durable takes counts. Here the processor's caches are warm, which makes it
cheaper, and figures of the same machine differ less. The start and end of the run are told apart: they are paid once.

    .venv/bin/python tests/benchmarks/audit/in_process.py [--rounds 7] [--detail summary]

It has to be the program itself: ansible-core's collection loader must come before anything of this collection.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pwd
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from types import SimpleNamespace

from captured import Call, capture, fresh

ROOT = Path(__file__).resolve().parents[3]
NAME = "scripts.toolkit.audit"


class BareAppender:
    """The least that records the same fields: JSON, SHA-256, buffered append. No redaction, no durability.

    :param detail: ``none`` (names and status), ``summary`` (what our default records) or ``full`` (the result).
    """

    def __init__(self, path: Path, detail: str) -> None:
        self._detail = detail
        self._file = open(path, "ab")
        self._started: dict[tuple[str, str], float] = {}
        self._common = {
            "run_id": "01a1fb79-7f1a-70ea-9da0-95b13eb9beb9",
            "script": os.path.abspath("site.yml"),
            "user": pwd.getpwuid(os.geteuid()).pw_name,
            "uid": os.geteuid(),
            "hostname": socket.gethostname(),
            "pid": os.getpid(),
            "ppid": os.getppid(),
            "working_directory": os.getcwd(),
            "command_line": "ansible-playbook --inventory hosts.ini site.yml",
        }

    def take(self, call: Call) -> None:
        """Record a result, note a start."""
        if call.name == "v2_runner_on_start":
            host, task = call.args
            self._started[(host.name, task._uuid)] = time.monotonic()
        elif call.is_result:
            self._append(call.args[0], call.name.rsplit("_", 1)[-1])

    def _append(self, result, status: str) -> None:
        host = getattr(result, "host", None) or result._host
        task = getattr(result, "task", None) or result._task
        details = {
            "host": str(host.name),
            "task": str(task.get_name()),
            "task_id": str(task._uuid),
            "task_path": str(task.get_path()),
            "module": str(task.resolved_action or task.action),
            "play": 1,
            "status": "changed" if status == "ok" and result.is_changed() else status,
            "changed": bool(result.is_changed()),
            "duration_ms": round((time.monotonic() - self._started.pop((host.name, task._uuid), 0)) * 1000),
        }
        if self._detail != "none":
            data = result.result if hasattr(type(result), "result") else result._result
            names = data if self._detail == "full" else ("msg", "rc", "dest", "path", "checksum", "mode", "owner")
            details["result"] = {name: data[name] for name in names if name in data}
        entry = {
            **self._common,
            "event_type": "TASK_RESULT",
            "details": details,
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "salt": os.urandom(16).hex(),
        }
        line = json.dumps(entry, sort_keys=True, separators=(",", ":"), default=str).encode()
        hashlib.sha256(b"\0" + line).digest()
        self._file.write(line + b"\n")

    def end(self) -> None:
        """Write what is buffered."""
        self._file.close()


class OurCallback:
    """The plugin as ansible-core loads it."""

    def __init__(self, directory: Path, detail: str) -> None:
        from ansible.plugins.loader import callback_loader

        os.environ["SCRIPTS_TOOLKIT_AUDIT_LOG_DIRECTORY"] = str(directory)
        os.environ["SCRIPTS_TOOLKIT_AUDIT_METRICS_PATH"] = "none"
        os.environ["SCRIPTS_TOOLKIT_AUDIT_STATE_DIRECTORY"] = str(directory / "state")
        os.environ["SCRIPTS_TOOLKIT_AUDIT_DETAIL"] = detail
        os.environ["SCRIPTS_TOOLKIT_AUDIT_SHOW_LOCATION"] = "false"
        self._plugin = callback_loader.get(NAME)
        self._plugin.set_options()
        self._methods = {name: getattr(self._plugin, name) for name in dir(self._plugin) if name.startswith("v2_")}

    def take(self, call: Call) -> None:
        """Pass a call on."""
        self._methods[call.name](*call.args, **call.kwargs)

    def end(self) -> None:
        """End the run."""


def replay(taker, calls: list[Call]) -> SimpleNamespace:
    """Return microseconds of processor time: ``per_result`` (with everything between), ``start`` and ``end``."""
    ready = list(fresh(calls))
    clock = time.process_time_ns
    first = next(number for number, call in enumerate(ready) if call.name == "v2_playbook_on_play_start")
    stamps = [clock()]
    for call in ready[:first]:
        taker.take(call)
    stamps.append(clock())
    for call in ready[first:-1]:
        taker.take(call)
    stamps.append(clock())
    taker.take(ready[-1])
    taker.end()
    stamps.append(clock())
    results = sum(1 for call in ready if call.is_result)
    begin, middle, end = (b - a for a, b in zip(stamps, stamps[1:]))
    return SimpleNamespace(per_result=middle / results / 1000, start=begin / 1000, end=end / 1000, results=results)


def measure(calls: list[Call], directory: Path, rounds: int, detail: str) -> dict:
    """Return the medians over ``rounds`` rounds, in each of which everybody is measured."""
    found: dict[str, list] = {"ours": [], "bare": []}
    for number in range(rounds):
        place = directory / f"round{number}"
        place.mkdir()
        found["bare"].append(replay(BareAppender(place / "bare.jsonl", detail), calls))
        found["ours"].append(replay(OurCallback(place / "trail", detail), calls))
        shutil.rmtree(place)
    ours, bare = (median(entry.per_result for entry in found[name]) for name in ("ours", "bare"))
    return {
        "detail": detail,
        "results": found["ours"][0].results,
        "rounds": rounds,
        "microseconds_per_result": {"ours": round(ours), "bare": round(bare)},
        "ratio": round(median(a.per_result / b.per_result for a, b in zip(found["ours"], found["bare"])), 2),
        "best_microseconds_per_result": {name: round(min(entry.per_result for entry in found[name])) for name in found},
        "microseconds_once": {
            "start": round(median(entry.start for entry in found["ours"])),
            "end": round(median(entry.end for entry in found["ours"])),
        },
    }


def in_the_run(spent: dict, results: int, detail: str) -> dict:
    """Return the figures of the run itself, where the processor's caches are full of ansible-core's work."""
    each = {name: round(parts["results"] / results / 1000) for name, parts in spent.items()}
    once = {part: round(spent["ours"][part] / 1000) for part in ("start", "end")}
    ratio = round(spent["ours"]["results"] / spent["bare"]["results"], 2)
    return {
        "detail": detail,
        "results": results,
        "microseconds_per_result": each,
        "ratio": ratio,
        "microseconds_once": once,
    }


def main(arguments: list[str] | None = None) -> dict:
    """Measure, print the figures as JSON and return them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=20, help="hosts of the run (20)")
    parser.add_argument("--tasks", type=int, default=50, help="tasks of the run (50)")
    parser.add_argument("--rounds", type=int, default=7, help="how often each is measured (7)")
    parser.add_argument("--detail", action="append", help="the callback's detail; may be given again (summary)")
    options = parser.parse_args(arguments)
    staged = ROOT.parents[2] if ROOT.parents[1].name == "ansible_collections" else ROOT / ".build"
    os.environ["ANSIBLE_COLLECTIONS_PATH"] = str(staged)
    with tempfile.TemporaryDirectory(prefix="toolkit-bench-") as temporary:
        directory = Path(temporary)
        details = options.detail or ["summary"]
        places = {"run": directory / "run", **{detail: directory / detail for detail in details}}
        for place in places.values():
            place.mkdir()
        takers = {
            "ours": lambda: OurCallback(places["run"] / "trail", details[0]),
            "bare": lambda: BareAppender(places["run"] / "bare.jsonl", details[0]),
        }
        calls, spent = capture(directory, options.hosts, options.tasks, takers)
        results = sum(1 for call in calls if call.is_result)
        figures = {"in_the_run": in_the_run(spent, results, details[0])}
        for detail in details:
            figures[f"replayed_{detail}"] = measure(calls, places[detail], options.rounds, detail)
        os.chdir("/")
    json.dump(figures, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return figures


if __name__ == "__main__":
    main()
