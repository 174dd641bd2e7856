# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What probes cost: ``make bench ARGS=network``, or ``ARGS="network --parts icmp"``. Root, fping and nmap are needed.

- ``icmp``: an echo request to each of many addresses of this machine, beside ``fping -i 1``.
- ``ports``: a TCP connection to a port of each, beside ``nmap -T5 -n``.
- ``wait_for``: one task for 200 ports beside a loop of ansible.builtin.wait_for, over a local connection. Times are
  those between a task's start and the next one's.
- ``scan``: scan.py, network_scan beside nmap.

All have the same time limit. Each must find every target well, or the benchmark ends.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from ansible_collections.scripts.toolkit.plugins.module_utils._network.probe.engine import probe
from ansible_collections.scripts.toolkit.tests.benchmarks import measured
from ansible_collections.scripts.toolkit.tests.benchmarks.figures import paired_ratio, summarize, table

_PARTS = ("icmp", "ports", "wait_for", "scan")
_TIMEOUT = 1
_LOOPED = 200
ROOT = Path(__file__).resolve().parents[3]


def addresses(count: int) -> list[str]:
    """Return as many addresses of this machine."""
    return [f"127.1.{number // 250}.{number % 250 + 1}" for number in range(count)]


@contextmanager
def listening() -> Iterator[int]:
    """Take connections on all addresses, and close them at once; gives the port."""

    def take() -> None:
        while True:
            try:
                server.accept()[0].close()
            except OSError:
                return

    with socket.create_server(("0.0.0.0", 0), backlog=4096) as server:
        thread = threading.Thread(target=take)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def probe_file(path: str) -> dict:
    """Probe what a file says; return how many were well, how long it took, and the most memory in MiB."""
    result = probe(json.loads(Path(path).read_text(encoding="utf-8")))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"ok": result["counts"]["ok"], "seconds": result["wall_seconds"], "mib": round(most / 1024, 1)}


def compare(
    directory: Path, options: dict, theirs: Sequence[str], well: Callable[[str], int], rounds: int, name: str
) -> list[tuple]:
    """Return rows of a table: ours and another program, one after the other in each round."""
    wanted, count = directory / "options.json", len(options["targets"])
    wanted.write_text(json.dumps({"timeout": float(_TIMEOUT), "concurrency": 512, **options}), encoding="utf-8")
    ours, others, told = [], [], []
    for _round in range(rounds):
        ours.append(measured.run([sys.executable, __file__, "--probe", str(wanted)], os.environ, directory))
        told.append(json.loads(ours[-1].output))
        others.append(measured.run(theirs, os.environ, directory))
        found = well(others[-1].output)
        if (told[-1]["ok"], found) != (count, count):
            raise SystemExit(f"Of {count}, we found {told[-1]['ok']}, {name} {found}: {others[-1].output[-500:]}")
    inside = summarize([one["seconds"] for one in told])
    walls = [[run.wall for run in runs] for runs in (ours, others)]
    rate = f"{paired_ratio(walls[1], walls[0]):.1f}"
    return [
        (f"network_probe, {count} targets", str(summarize(walls[0])), str(inside), max(one["mib"] for one in told), ""),
        (name, str(summarize(walls[1])), "", "", rate),
    ]


def icmp(directory: Path, count: int, rounds: int) -> list[tuple]:
    """Beside fping."""
    listed = directory / "addresses"
    listed.write_text("".join(f"{address}\n" for address in addresses(count)), encoding="ascii")
    options = {"targets": [{"address": address} for address in addresses(count)], "rules": [{"type": "icmp"}]}
    theirs = ["fping", "-i", "1", "-r", "0", "-t", str(_TIMEOUT * 1000), "-a", "-f", str(listed)]
    return compare(directory, options, theirs, lambda output: len(output.split()), rounds, "fping -i 1")


def ports(directory: Path, count: int, rounds: int) -> list[tuple]:
    """Beside nmap."""
    listed = directory / "addresses"
    listed.write_text("".join(f"{address}\n" for address in addresses(count)), encoding="ascii")
    with listening() as port:
        targets = [{"address": address, "port": port} for address in addresses(count)]
        options = {"targets": targets, "rules": [{"type": "tcp"}]}
        theirs = ["nmap", "-T5", "-n", "-Pn", "-sT", "-p", str(port), "--host-timeout", "60s",
                  "--max-rtt-timeout", f"{_TIMEOUT}s", "-iL", str(listed), "-oG", "-"]  # fmt: skip
        return compare(directory, options, theirs, lambda output: output.count("/open/"), rounds, "nmap -T5 -n -sT")


def wait_for(directory: Path, rounds: int) -> list[tuple]:
    """Beside a loop of tasks."""
    with listening() as port:
        mark = {"ansible.builtin.debug": {"msg": "MARK {{ now().timestamp() }}"}}
        loop = {
            "ansible.builtin.wait_for": {"host": "{{ item }}", "port": port, "timeout": _TIMEOUT},
            "loop": addresses(_LOOPED),
        }
        targets = [{"address": address, "port": port} for address in addresses(_LOOPED)]
        ours = {
            "scripts.toolkit.network_probe": {
                "targets": targets, "rules": [{"type": "tcp"}], "timeout": _TIMEOUT, "minimum_score": 100,
            }
        }  # fmt: skip
        play = {"hosts": "localhost", "gather_facts": False, "tasks": [mark, ours, mark, loop, mark]}
        (directory / "play.yml").write_text(yaml.safe_dump([play], sort_keys=False), encoding="utf-8")
        walls: tuple[list[float], list[float]] = ([], [])
        environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT.parents[2]), "ANSIBLE_PIPELINING": "1"}
        environment["ANSIBLE_PYTHON_INTERPRETER"] = sys.executable
        argv = [str(Path(sys.executable).with_name("ansible-playbook")), "-c", "local", "-i", "localhost,", "play.yml"]
        for _round in range(rounds):
            done = measured.run(argv, environment, directory)
            times = [float(text) for text in re.findall(r"MARK ([0-9.]+)", done.output)]
            if done.returncode or len(times) != 3:
                raise SystemExit(done.output[-2000:])
            walls[0].append(times[1] - times[0])
            walls[1].append(times[2] - times[1])
    rate = f"{paired_ratio(walls[1], walls[0]):.0f}"
    return [
        (f"a task of network_probe, {_LOOPED} targets", str(summarize(walls[0])), "", "", ""),
        ("a loop of wait_for", str(summarize(walls[1])), "", "", rate),
    ]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(_PARTS), help="separated by commas")
    parser.add_argument("--targets", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--probe", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.probe:
        json.dump(probe_file(options.probe), sys.stdout)
        return 0
    rows = []
    parts = options.parts.split(",")
    with tempfile.TemporaryDirectory(prefix="toolkit-bench-") as temporary:
        if "icmp" in parts:
            rows += icmp(Path(temporary), options.targets, options.rounds)
        if "ports" in parts:
            rows += ports(Path(temporary), options.targets, options.rounds)
        if "wait_for" in parts:
            rows += wait_for(Path(temporary), 1)
    if rows:
        print(table(("", "whole, s", "in the call, s", "most memory, MiB", "we are faster, times"), rows))
        machine = measured.sentence(measured.machine())
        print(f"\n{machine}; load {os.getloadavg()[0]:.1f}; {options.rounds} rounds, medians (least to most).\n")
    if "scan" not in parts:
        return 0
    program = [sys.executable, str(Path(__file__).with_name("scan.py")), "--rounds", str(options.rounds)]
    return subprocess.run(program, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
