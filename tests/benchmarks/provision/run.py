# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The web server profile against others who build the same server: ``make bench``, figures in docs/benchmarks.md.

Each contender gets a fresh disposable host of its own and builds the server; then unchanged runs of all follow in turn.
Every run must succeed, every unchanged run must report no change, and before and after the site must execute PHP.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
import tempfile
import time
from pathlib import Path

from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts import Hosts
from ansible_collections.scripts.toolkit.tests.benchmarks import figures, measured
from ansible_collections.scripts.toolkit.tests.benchmarks.provision import trail
from ansible_collections.scripts.toolkit.tests.benchmarks.provision.contenders import (
    DOMAIN,
    LABELS,
    Contender,
    contenders,
    floors,
)
from ansible_collections.scripts.toolkit.tests.benchmarks.provision.host import Host
from ansible_collections.scripts.toolkit.tests.benchmarks.provision.peers import Peers

ROOT = Path(__file__).resolve().parents[3]
BUILD = ROOT / ".build" / "bench"
# What the contenders install, so that none of them waits for a download that another one has made before it.
PACKAGES = (
    "nginx php-fpm php-mysql php-cli php-common php-curl php-gd php-mbstring php-xml php-imap php-opcache php-json "
    "mariadb-server mariadb-client python3-pymysql python3-mysqldb python3-cryptography nftables iptables openssl "
    "tzdata logrotate rsyslog unattended-upgrades"
)


def tell(text: str) -> None:
    """Show progress on standard error."""
    print(text, file=sys.stderr, flush=True)


class Bench:
    """One benchmark: the hosts, who is measured, and the figures.

    :param suite: Debian suite of the hosts.
    :param names: the contenders wanted.
    """

    def __init__(self, suite: str, names: list[str], peers: Peers) -> None:
        self.peers = peers
        self._suite = suite
        self._names = {name: f"bench-{name}" for name in names if name not in self.peers.absent}
        self._hosts = Hosts(progress=tell)
        self._seen: dict[str, Host] = {}
        self._sockets = Path(tempfile.mkdtemp(prefix="bench-"))
        self.contenders: list[Contender] = []

    def begin(self) -> None:
        """Boot the hosts, all fresh, and fill the package cache."""
        work = BUILD / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        self.clear()
        self._hosts.up([*self._names.values(), "bench-warm"], self._suite, install_missing=True)
        tell("Filling the package cache ...")
        available = f"apt-cache --names-only search '^({PACKAGES.replace(' ', '|')})$' | cut -d' ' -f1"
        Host(self._hosts, "bench-warm").inside(f"apt-get update -q && apt-get install -qdy $({available})")
        self._hosts.down(["bench-warm"])
        for host in self._names.values():
            self._seen[host] = Host(self._hosts, host)
            self._seen[host].log_sessions()
        self.contenders = contenders(self._hosts, self.peers, self._names, work, self._sockets)

    def clear(self) -> None:
        """Remove the hosts, also those that an earlier benchmark left."""
        self._hosts.down([*(f"bench-{name}" for name in LABELS), "bench-warm"])

    def end(self, keep: bool) -> None:
        """Remove what was made; ``keep`` leaves the hosts up."""
        shutil.rmtree(self._sockets, ignore_errors=True)
        if not keep:
            self.clear()

    def add_floors(self, calls: int) -> None:
        """Let the bare calls of Ansible take part."""
        self.contenders += floors(self.contenders[0], calls, BUILD / "work")

    def run(self, contender: Contender, unchanged: bool) -> dict:
        """Run a contender once and return its figures.

        :raises SystemExit: it failed, or changed what it should not.
        """
        shutil.rmtree(contender.controls, ignore_errors=True)
        done = measured.run(contender.argv, contender.environment, BUILD / "work")
        sessions = self._seen[contender.host].sessions(done.began)
        spent = measured.end_masters(contender.controls)
        (BUILD / "work" / f"{contender.name}.log").write_text(done.output, encoding="utf-8")
        try:
            changes = contender.changes(done.output)
        except ValueError as error:
            raise SystemExit(f"{done.output[-4000:]}\n{contender.label} failed (status {done.returncode}): {error}")
        if done.returncode or (unchanged and changes):
            raise SystemExit(f"{done.output[-4000:]}\n{contender.label}: status {done.returncode}, {changes} changes")
        figures_of_run = {
            "wall": done.wall, "processor": done.processor + spent, "load": done.load, "changes": changes, **sessions
        }  # fmt: skip
        if contender.record:
            lines = (contender.record / "audit.jsonl").read_text(encoding="utf-8").splitlines()
            figures_of_run["parts"] = trail.parts(trail.entries_of_last_run(lines), done.began, done.wall)
        tell(f"  {contender.label}: {done.wall:.2f} s, {sessions['calls']} calls, {changes} changes")
        return figures_of_run

    def check(self) -> None:
        """Hold that every site answers https with a page that PHP made.

        :raises SystemExit: one does not.
        """
        for contender in self.contenders:
            status, body = self._seen[contender.host].page(DOMAIN)
            if status != 200 or contender.page not in body or "<?php" in body:
                raise SystemExit(f"The site of {contender.label} answers {status}: {body[:500]}")


def compare(bench: Bench, runs: int) -> dict:
    """Measure, and return all figures."""
    tell("First runs:")
    first = {contender.name: bench.run(contender, unchanged=False) for contender in bench.contenders}
    for contender in bench.contenders:
        # Peers may take more than one run until nothing changes any more; the run is not counted.
        again = bench.run(contender, unchanged=contender.name == "ours")
        if contender.name == "ours":
            calls = again["calls"]
    bench.check()
    bench.add_floors(calls)
    tell(f"{runs} unchanged runs of each, in turn:")
    for _number in range(runs):
        for contender in bench.contenders:
            contender.runs.append(bench.run(contender, unchanged=True))
    bench.check()
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": measured.machine(),
        "versions": bench.peers.versions(),
        "left_out": bench.peers.absent,
        "first": first,
        "unchanged": {contender.name: contender.runs for contender in bench.contenders},
        "labels": {contender.name: contender.label for contender in bench.contenders},
    }


def report(result: dict) -> str:
    """Return the figures as Markdown."""
    unchanged, labels = result["unchanged"], result["labels"]
    ours = [run["wall"] for run in unchanged["ours"]]
    rows = []
    for name, runs in unchanged.items():
        wall = [run["wall"] for run in runs]
        rows.append([
            labels[name],
            figures.summarize(wall),
            f"{figures.summarize([run['processor'] for run in runs])['median']:.2f}",
            f"{figures.summarize([run['calls'] for run in runs])['median']:.0f}",
            f"{figures.ratio(wall, ours):.2f}",
            f"{figures.paired_ratio(wall, ours):.2f}",
        ])  # fmt: skip
    head = ["unchanged run", "wall time, s (min to max)", "processor, s", "remote calls", "time / ours", "paired"]
    first = [
        [labels[name], f"{run['wall']:.1f}", f"{run['processor']:.1f}", run["calls"]]
        for name, run in result["first"].items()
    ]
    parts = trail.median_parts([run["parts"] for run in unchanged["ours"]])
    total = sum(seconds for _part, seconds, _tasks in parts)
    shares = [[part, tasks or "", f"{seconds * 1000:.0f}", f"{seconds / total:.0%}"] for part, seconds, tasks in parts]
    loads = figures.summarize([run["load"] for runs in unchanged.values() for run in runs])
    conditions = (
        f"{result['date']}, {len(ours)} unchanged runs of each, {result['suite']} hosts. "
        f"{measured.sentence(result['machine'])}; load {loads}."
    )
    lines = [
        figures.table(head, rows),
        figures.table(["first run", "wall time, s", "processor, s", "remote calls"], first),
        figures.table(["where the time of our unchanged run goes", "tasks", "ms", "share"], shares),
        conditions,
        ", ".join(f"{name} {version}" for name, version in result["versions"].items()),
        *(f"Left out: {name}: {reason}." for name, reason in result["left_out"].items()),
        f"Command: {result['command']}",
    ]
    return "\n\n".join(lines)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7, help="unchanged runs of each (default: %(default)s)")
    parser.add_argument("--suite", default="bookworm", help="Debian suite of the hosts (default: %(default)s)")
    parser.add_argument("--only", default=",".join(LABELS), help="contenders beside ours (default: %(default)s)")
    for option, what in (("venv", "requirements.txt"), ("roles", "geerlingguy-requirements.yml")):
        parser.add_argument(
            f"--{option}",
            type=Path,
            default=os.environ.get(f"BENCH_{option.upper()}"),
            help=f"directory with what {what} names (default: BENCH_{option.upper()}, else it is fetched)",
        )
    parser.add_argument("--keep", action="store_true", help="leave the hosts up")
    options = parser.parse_args()
    wanted = ["ours", *(name for name in options.only.split(",") if name != "ours")]
    unknown = set(wanted) - set(LABELS)
    if unknown or options.runs < 1:
        parser.error(f"unknown contenders {', '.join(sorted(unknown))}" if unknown else "--runs needs 1 or more")
    bench = Bench(options.suite, wanted, Peers(BUILD, options.venv, options.roles, tell))
    try:
        bench.begin()
        result = compare(bench, options.runs)
    finally:
        bench.end(options.keep)
    result["command"] = f"make bench ARGS={shlex.quote(' '.join(sys.argv[1:]))}" if sys.argv[1:] else "make bench"
    result["suite"] = options.suite
    path = BUILD / f"provision-{options.suite}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(report(result))
    tell(f"All figures: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
