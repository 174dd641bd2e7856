# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processor time per task result of every recorder, by the same driver: the calls of one real run, played to each.

The calls are captured once; each recorder then gets them in a fork of its own, several times, in turn, so that none
sees what another left behind (ARA loads Django, OpenTelemetry sets a global tracer). The time is that of all threads
of the process: an exporter counts, a server that it talks to does not.

With --in-the-run all of them take the calls in the run itself, each in turn the first, and the time is that of the
thread that calls them.

    replay.py --collections PATH --only ours,bare,log_plays [--rounds 5] [--hosts 20] [--tasks 50] [--in-the-run]

Runs in an environment with the peers; prints JSON. It has to be the program itself, as in_process.py.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

from captured import capture
from in_process import BareAppender, OurCallback, replay

_PLUGINS = {
    "default": "default",
    "log_plays": "community.general.log_plays",
    "jsonl": "ansible.posix.jsonl",
    "otel_live": "community.general.opentelemetry",
    "otel_dead": "community.general.opentelemetry",
    "ara_http": "ara_default",
    "ara_offline": "ara_default",
}


class OtherCallback:
    """A plugin of somebody else, loaded as ansible-core does."""

    def __init__(self, name: str) -> None:
        from ansible import constants
        from ansible.plugins.loader import callback_loader

        if name.startswith("ara"):
            callback_loader.add_directory(os.environ["BENCH_ARA_PLUGINS"])
        plugin = callback_loader.get(_PLUGINS[name])
        if plugin is None:
            raise RuntimeError(f"There is no callback {_PLUGINS[name]}.")
        self._plugin = plugin
        load_name = getattr(plugin, "ansible_name", None) or _PLUGINS[name]
        plugin.set_options(constants.config.get_plugin_options("callback", load_name))
        if getattr(plugin, "disabled", False):
            raise RuntimeError(f"The callback {_PLUGINS[name]} has disabled itself.")

    def take(self, call) -> None:
        """Pass a call on, to the old name of the method where the plugin has only that."""
        method = getattr(self._plugin, call.name, None)
        if method is not None:
            method(*call.args, **call.kwargs)

    def end(self) -> None:
        """End the run."""


def recorder(name: str, place: Path, detail: str):
    """Return what takes the calls."""
    if name == "bare":
        return BareAppender(place / "bare.jsonl", detail)
    if name == "ours":
        return OurCallback(place / "trail", detail)
    return OtherCallback(name)


def one(name: str, calls: list, place: Path, detail: str, environment: dict[str, str]) -> dict:
    """Play ``calls`` to a recorder in a fork, and return microseconds per result, at the start, and at the end.

    :raises SystemExit: the fork failed.
    """
    place.mkdir(parents=True)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.environ.update(environment)
            sys.stdout = sys.stderr = open(place / "output.log", "w", encoding="utf-8")
            os.dup2(sys.stdout.fileno(), 1)
            os.dup2(sys.stdout.fileno(), 2)
            done = replay(recorder(name, place, detail), calls)
            os.write(write, json.dumps(vars(done)).encode())
            status = 0
        except BaseException:  # pylint: disable=broad-exception-caught # the fork must end here whatever it is
            os.write(write, json.dumps({"error": traceback.format_exc()}).encode())
        os._exit(status)
    os.close(write)
    with open(read, "rb") as pipe:
        said = pipe.read()
    _pid, status = os.waitpid(child, 0)
    found = json.loads(said or b'{"error": "the fork died"}')
    if status or "error" in found:
        raise SystemExit(f"{name}: {found.get('error')}")
    return found


def in_the_run(names: list[str], directory: Path, options: argparse.Namespace, environments: dict) -> dict:
    """Let all recorders take the calls of one run while it goes on; return microseconds of their threads."""

    def maker(name: str):
        def make():
            os.environ.update(environments.get(name, {}))
            return recorder(name, directory / name, options.detail)

        return make

    for name in names:
        (directory / name).mkdir()
    calls, spent = capture(directory, options.hosts, options.tasks, {name: maker(name) for name in names})
    results = sum(1 for call in calls if call.is_result)
    return {
        name: {"per_result": parts["results"] / results / 1000, "results": results}
        | {part: parts[part] / 1000 for part in ("start", "end")}
        for name, parts in spent.items()
    }


def replayed(names: list[str], directory: Path, options: argparse.Namespace, environments: dict) -> dict:
    """Return the figures of every replay: ``{recorder: [figures]}``."""
    calls, _spent = capture(directory, options.hosts, options.tasks)
    found: dict[str, list] = {name: [] for name in names}
    for number in range(options.rounds):
        for name in names if number % 2 == 0 else reversed(names):
            place = directory / f"round{number}" / name
            found[name].append(one(name, calls, place, options.detail, environments.get(name, {})))
    return found


def main() -> None:
    """Measure and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", required=True, help="recorders, separated by commas")
    parser.add_argument("--in-the-run", action="store_true", help="not replayed, all in the run itself, once")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--hosts", type=int, default=20)
    parser.add_argument("--tasks", type=int, default=50)
    parser.add_argument("--detail", default="summary")
    parser.add_argument("--collections", required=True, help="ANSIBLE_COLLECTIONS_PATH")
    parser.add_argument("--environments", default="{}", help="JSON: {recorder: {variable: value}}")
    options = parser.parse_args()
    os.environ["ANSIBLE_COLLECTIONS_PATH"] = options.collections
    # ansible-core leaves threads behind that hold no lock we need.
    warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*multi-threaded.*")
    with tempfile.TemporaryDirectory(prefix="toolkit-bench-") as temporary:
        measure = in_the_run if options.in_the_run else replayed
        found = measure(options.only.split(","), Path(temporary), options, json.loads(options.environments))
        os.chdir("/")
    json.dump(found, sys.stdout)
    sys.stdout.flush()
    os._exit(0)  # without waiting for what exporters still try


if __name__ == "__main__":
    main()
