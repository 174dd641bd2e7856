# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long ``network_scan`` takes beside nmap: ``make bench ARGS="network --parts scan"``. Root, nmap, nft.

Two network namespaces with a cable between them. Both are given the same ports, the same time limit and no second try,
and must find the same open ports and hosts, or the benchmark ends. nmap is run as ``nmap -T5 -n``; ``-sS``, its choice
as root, sends bare packets where ``-sT`` and we make whole connections. Of nmap the time is that of its process. Of us
both are told, ``wall_seconds`` of the result, and the process with the start of Python, which a module that calls nmap
has as well.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.scripts.toolkit.tests.benchmarks import measured
from ansible_collections.scripts.toolkit.tests.benchmarks.figures import paired_ratio, summarize, table
from ansible_collections.scripts.toolkit.tests.integration.network.scan_lab import RUNNER, SERVICES, Namespaces

_MILLISECONDS = 300
_DROPPED = "10.98.7.3"
_NETWORK = "10.98.8.0/22"
_NO_HOSTS = "10.98.8.0,10.98.11.255"
"""What we leave out of the network by ourselves."""


@dataclass(frozen=True)
class Case:
    """What is scanned: the target, its ports as nmap and we write them, the kinds of nmap's scan, and what more it is
    told; how many ports are open, or hosts up where no port is asked."""

    name: str
    target: str
    ports: str
    kinds: tuple[str, ...]
    found: int


CASES = (
    Case("one host, 65,535 ports, closed", "10.98.7.2", "1-65535", ("-sT", "-sS"), 3),
    Case("one host, 200 ports, dropped", _DROPPED, "1-200", ("-sT", "-sS"), 0),
    Case("1,022 hosts, 20 ports each", _NETWORK, "1-20", ("-sT", "-sS"), 0),
    Case("1,022 hosts, ssh open", _NETWORK, "22", ("-sT", "-sS"), 1022),
    Case("1,022 hosts by ICMP", _NETWORK, "", ("-sn -PE",), 1022),
)


def prepare(lab: Namespaces) -> None:
    """Make a host, one that drops what it gets, and a network of which every address answers."""
    lab.address(lab.near, "10.98.7.1/24")
    lab.address(lab.far, "10.98.7.2/24", f"{_DROPPED}/24")
    lab.inside(lab.far, "ip", "route", "add", "local", _NETWORK, "dev", "lo")
    lab.inside(lab.near, "ip", "route", "add", _NETWORK, "via", "10.98.7.2")
    lab.firewall(f"ip daddr {_DROPPED} drop")
    lab.serve(SERVICES, "tcp:22", "tcp:5432", "tcp:40000")


def nmap(case: Case, kind: str) -> list[str]:
    """Return nmap's command line."""
    limit = f"{_MILLISECONDS}ms"
    times = [f"--{which}-rtt-timeout={limit}" for which in ("initial", "min", "max")]
    ports = ["-Pn", "-p", case.ports, "--open"] if case.ports else []
    return [
        "nmap",
        "-T5",
        "-n",
        *kind.split(),
        *times,
        "--max-retries=0",
        "--exclude",
        _NO_HOSTS,
        *ports,
        "-oG",
        "-",
        case.target,
    ]


def options(case: Case) -> dict:
    """Return our options for the same."""
    same = {"targets": [{"address": case.target}], "timeout": _MILLISECONDS / 1000, "tries": 1}
    if case.ports:
        return {**same, "ports": [case.ports], "discovery": []}
    return {**same, "ports": [], "discovery": ["icmp"]}


def measure(lab: Namespaces, case: Case, argv: Sequence[str], directory: Path) -> measured.Measured:
    """Run a command in the namespace that scans; what it found must be right."""
    done = measured.run(["ip", "netns", "exec", lab.near, *argv], dict(os.environ), directory)
    if argv[0] == "nmap":
        found = done.output.count("/open/") if case.ports else done.output.count("Status: Up")
    else:
        counts = json.loads(done.output)["counts"]
        found = counts["open"] if case.ports else counts["up"]
    if done.returncode or found != case.found:
        raise SystemExit(f"{case.name}: {argv[0]} found {found}, not {case.found}.\n{done.output[:2000]}")
    return done


def compare(lab: Namespaces, case: Case, rounds: int, directory: Path) -> list[tuple]:
    """Return the rows of a case: ours, and nmap's kinds beside it, in turn."""
    wish = directory / "options.json"
    wish.write_text(json.dumps(options(case)), encoding="utf-8")
    commands = {"network_scan": [sys.executable, str(RUNNER), "network_scan", "--options", str(wish)]}
    commands.update({f"nmap -T5 -n {kind}": nmap(case, kind) for kind in case.kinds})
    runs = {name: [] for name in commands}
    for _round in range(rounds):
        for name, argv in commands.items():
            runs[name].append(measure(lab, case, argv, directory))
    results = [json.loads(run.output) for run in runs["network_scan"]]
    ours = [told["wall_seconds"] for told in results]
    rows = []
    for name, done in runs.items():
        walls = ours if name == "network_scan" else [run.wall for run in done]
        whole = summarize([run.wall for run in done])["median"]
        row = (case.name, name, str(summarize(walls)), f"{paired_ratio(walls, ours):.2f}", f"{whole:.2f}")
        rows.append((*row, max(told["most_memory_mib"] for told in results) if walls is ours else ""))
    return rows


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    lab = Namespaces()
    rows = []
    try:
        prepare(lab)
        with tempfile.TemporaryDirectory(prefix="toolkit-bench-") as temporary:
            for case in CASES:
                rows += compare(lab, case, chosen.rounds, Path(temporary))
    finally:
        lab.close()
    print(table(("", "", "wall, s: median (least to most)", "/ ours", "process, s", "most memory, MiB"), rows))
    machine = measured.sentence(measured.machine())
    print(f"\n{machine}; load {os.getloadavg()[0]:.1f}; {chosen.rounds} rounds, time limit {_MILLISECONDS} ms.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
