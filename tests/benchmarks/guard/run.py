# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What guards cost and what they are good for: ``make bench ARGS=guard``, or ``ARGS="guard --parts simulation"``.

- ``simulation``: 1,000 hosts fail at the same moment and try again; how many come back in the same second?
- ``overhead``: a task with all guards on and nothing going wrong beside a plain one over ssh, in turn, on a disposable
  host (root). Times are those between the start of a task and its result, from the audit trail.
- ``probes``: one_probe.py, which asks whether a half-open circuit ever lets two calls through.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from ansible_collections.scripts.toolkit.plugins.module_utils._guard.backoff import JITTERS, Backoff
from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts import Hosts
from ansible_collections.scripts.toolkit.plugins.plugin_utils._hosts.inventory import inventory_yaml
from ansible_collections.scripts.toolkit.tests.benchmarks import measured
from ansible_collections.scripts.toolkit.tests.benchmarks.figures import paired_ratio, summarize, table

_HOST = "bench-guard"


def comings(policy: Backoff, hosts: int, seed: int) -> list[list[float]]:
    """Return when each host comes back, one list for each attempt after the first, in seconds since all failed."""
    chance = random.Random(seed)
    waits = [list(policy.delays(chance)) for _host in range(hosts)]
    return list(zip(*(itertools.accumulate(own) for own in waits), strict=True))


def crowd(times: Iterable[float]) -> int:
    """Return how many of ``times`` fall into the fullest tenth of a second."""
    return max(Counter(int(time * 10 + 1e-6) for time in times).values())


def spread(name: str, policy: Backoff, hosts: int, seed: int) -> tuple:
    """Return a row: the fullest tenth of a second of all, of the last attempt, and the time that 80% of it take."""
    attempts = comings(policy, hosts, seed)
    last = sorted(attempts[-1])
    middle = last[len(last) * 9 // 10] - last[len(last) // 10]
    return name, f"{crowd(itertools.chain(*attempts)):,}", f"{crowd(last):,}", f"{middle:.1f}", f"{last[-1]:.0f}"


def simulation(hosts: int, seed: int) -> None:
    """Print how jitter spreads attempts."""
    rows = [spread("until with retries: 5, delay: 5", Backoff(6, 5.0, 1.0, 5.0, "none"), hosts, seed)]
    rows += [spread(f"jitter: {jitter}", Backoff(6, 1.0, 2.0, 60.0, jitter), hosts, seed) for jitter in JITTERS]
    head = (f"{hosts:,} hosts, 5 more attempts", "most in 0.1 s", "of the last", "80% of the last within, s", "end, s")
    print(table(head, rows))


def _task(number: int, guarded: bool) -> dict:
    plain = {"ansible.builtin.command": {"argv": ["true", str(number)]}}
    if not guarded:
        return {"name": f"plain {number}", **plain}
    options = {
        "module": "ansible.builtin.command",
        "args": {"argv": ["true", str(number)]},
        "retry": {"attempts": 3},
        "timeout": 30,
        "deadline": 120,
        "circuit": {"name": "benchmark"},
        "cache": {"ttl": 600, "allow_changed": True, "directory": "{{ cache_directory }}"},
    }
    return {"name": f"guarded {number}", "scripts.toolkit.guarded_task": options}


def _tasks(pairs: int) -> Iterator[dict]:
    yield {"name": "warm", "ansible.builtin.command": {"argv": ["true"]}}
    yield _task(-1, True)
    for number in range(pairs):
        for guarded in (number % 2 == 0, number % 2 != 0):
            yield _task(number, guarded)


def overhead(pairs: int, suite: str) -> None:
    """Print what guards add to a task over ssh."""
    hosts = Hosts()
    hosts.up([_HOST], suite)
    try:
        with tempfile.TemporaryDirectory(prefix="toolkit-bench-") as temporary:
            durations = _durations(Path(temporary), hosts, pairs)
    finally:
        hosts.down([_HOST])
    rows = []
    for name in ("plain", "guarded"):
        summary = summarize(durations[name])
        rows.append((name, *(f"{summary[part]:.0f}" for part in ("median", "min", "max"))))
    print(table(("ansible.builtin.command over ssh", "median, ms", "least", "most"), rows))
    ratio = paired_ratio(durations["guarded"], durations["plain"])
    print(f"\nA guarded task takes {ratio:.3f} times as long (median of {pairs} pairs).")


def _durations(directory: Path, hosts: Hosts, pairs: int) -> dict[str, list[float]]:
    play = {
        "name": "Measure",
        "hosts": "all",
        "gather_facts": False,
        "vars": {"cache_directory": str(directory / "cache")},
        "tasks": list(_tasks(pairs)),
    }
    (directory / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    (directory / "inventory.yml").write_text(inventory_yaml(hosts.inventory([_HOST])), encoding="utf-8")
    environment = {
        **os.environ,
        "ANSIBLE_CALLBACKS_ENABLED": "scripts.toolkit.audit",
        "ANSIBLE_PIPELINING": "true",
        "SCRIPTS_TOOLKIT_AUDIT_LOG_DIRECTORY": str(directory / "log"),
        "SCRIPTS_TOOLKIT_AUDIT_METRICS_PATH": str(directory / "metrics.prom"),
    }
    program = str(Path(sys.executable).parent / "ansible-playbook")
    done = measured.run([program, "-i", "inventory.yml", "play.yml"], environment, directory)
    if done.returncode:
        raise SystemExit(done.output)
    found: dict[str, dict[int, float]] = {"plain": {}, "guarded": {}}
    for line in (directory / "log" / "audit.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        kind, _space, number = record["details"].get("task", "").partition(" ")
        if record["event_type"] == "TASK_RESULT" and kind in found and int(number) >= 0:
            found[kind][int(number)] = record["details"]["duration_ms"]
    return {kind: [times[number] for number in range(pairs)] for kind, times in found.items()}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="simulation,overhead,probes", help="(default: %(default)s)")
    parser.add_argument("--hosts", type=int, default=1000, help="of the simulation")
    parser.add_argument("--seed", type=int, default=1, help="of the simulation")
    parser.add_argument("--pairs", type=int, default=60, help="of tasks that are compared")
    parser.add_argument("--suite", default="bookworm")
    parser.add_argument("--trials", type=int, default=10_000, help="of one_probe.py")
    options = parser.parse_args()
    parts = options.parts.split(",")
    failed = 0
    if "simulation" in parts:
        simulation(options.hosts, options.seed)
    if "overhead" in parts:
        overhead(options.pairs, options.suite)
    if "probes" in parts:
        program = [sys.executable, str(Path(__file__).with_name("one_probe.py")), "--trials", str(options.trials)]
        failed = subprocess.run(program, check=False).returncode
    print(f"\n{measured.sentence(measured.machine())}; load {os.getloadavg()[0]:.1f}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
