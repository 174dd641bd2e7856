# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole runs of ansible-playbook, with and without a recorder, in turn: wall time and processor time of all processes.

A run has 1,000 cheap results: 100 tasks of ``debug`` on 10 hosts, connection local. Where that can be read, a recorder
must have recorded each of them, or the benchmark ends.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from ansible_collections.scripts.toolkit.tests.benchmarks import measured
from ansible_collections.scripts.toolkit.tests.benchmarks.audit import others

__all__ = ["Whole", "playbook"]

ROOT = Path(__file__).resolve().parents[3]


def playbook(place: Path, hosts: int, tasks: int) -> list[str]:
    """Write an inventory and a playbook of ``hosts`` times ``tasks`` cheap results; return the arguments for both."""
    place.mkdir(parents=True, exist_ok=True)
    inventory, play = place / f"{hosts}x{tasks}.ini", place / f"{hosts}x{tasks}.yml"
    names = (f"host{number:03}.example.com ansible_connection=local\n" for number in range(hosts))
    inventory.write_text("".join(names), encoding="utf-8")
    listed = [
        {"name": f"Task {number}", "ansible.builtin.debug": {"msg": f"Result {number} of {{{{ inventory_hostname }}}}"}}
        for number in range(tasks)
    ]
    play.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": listed}]), encoding="utf-8")
    return ["-i", str(inventory), str(play)]


class Whole:
    """Runs of one size, by any of the recorders.

    :param programs: the directory of ansible-playbook.
    :param place: a directory for what they write.
    :param ports: see :func:`others.environment_of`.
    :param servers: ``{recorder: process}`` whose processor time is told apart.
    """

    def __init__(self, programs: Path, place: Path, size: tuple[int, int], ports: dict, servers: dict) -> None:
        self._programs, self._place, self._ports, self._servers = programs, place, ports, servers
        self._results = size[0] * size[1]
        self._argv = [str(programs / "ansible-playbook"), *playbook(place, *size)]
        (place / "ansible.cfg").touch()

    def run(self, name: str) -> dict:
        """Run once and return ``wall``, ``processor`` and ``server`` in seconds, and the number of ``results``."""
        place = self._place / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "SCRIPTS_TOOLKIT"))}
        environment = {
            **kept,
            "ANSIBLE_CONFIG": str(self._place / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT.parents[2]),
            "ANSIBLE_NOCOLOR": "1",
            "PATH": f"{self._programs}:{os.environ['PATH']}",
            **others.environment_of(name, self._programs, place, self._ports),
        }
        server = self._servers.get(name)
        before = others.server_seconds(server) if server else 0.0
        done = measured.run(self._argv, environment, self._place, limit=300)
        spent = others.server_seconds(server) - before if server else 0.0
        (place / "output.log").write_text(done.output, encoding="utf-8")
        if done.returncode:
            raise SystemExit(f"{done.output[-3000:]}\n{others.LABELS[name]}: status {done.returncode}")
        self._check(name, place, done.output)
        return {
            "wall": done.wall, "processor": done.processor, "server": spent, "load": done.load, "results": self._results
        }  # fmt: skip

    def rounds(self, names: Sequence[str], count: int, tell: Callable[[str], None]) -> dict[str, list[dict]]:
        """Return the figures of ``count`` runs of each, in turn, each round in the opposite order of the one before."""
        found: dict[str, list[dict]] = {name: [] for name in names}
        for number in range(count):
            for name in names if number % 2 == 0 else reversed(names):
                one = self.run(name)
                found[name].append(one)
                tell(
                    f"  {others.LABELS[name]}: {one['wall']:.1f} s, processor {one['processor'] + one['server']:.2f} s"
                )
        return found

    def _check(self, name: str, place: Path, output: str) -> None:
        """Hold that each result was recorded where that can be read.

        :raises SystemExit: it was not.
        """
        seen = self._results
        if name == "ours":
            lines = (place / "trail" / "audit.jsonl").read_text(encoding="utf-8").splitlines()
            seen = sum('"event_type":"TASK_RESULT"' in line for line in lines)
        elif name == "log_plays":
            files = (place / "log_plays").iterdir()
            seen = sum(file.read_text(encoding="utf-8").count(" - OK - ") for file in files)
        elif name == "jsonl":
            seen = sum('"_event":"v2_runner_on_ok"' in line.replace('": "', '":"') for line in output.splitlines())
        elif name == "ara_offline":
            with sqlite3.connect(place / "ara" / "ansible.sqlite") as database:
                (seen,) = database.execute("SELECT count(*) FROM results").fetchone()
        if seen != self._results:
            raise SystemExit(f"{output[-2000:]}\n{others.LABELS[name]} recorded {seen} of {self._results} results.")
