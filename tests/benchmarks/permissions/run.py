# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entries per second of ``path_permissions_info`` beside find(1): ``make bench ARGS=permissions``.

Both are asked for the files that all may write and those with the set-user-ID bit; the module looks at access control
lists, capabilities and owners too, and opens each file for that. They must find the same number, or the benchmark ends.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
from pathlib import Path

from ansible_collections.scripts.toolkit.plugins.module_utils._permissions.check import check_paths
from ansible_collections.scripts.toolkit.plugins.module_utils._permissions.rules import rules_spec
from ansible_collections.scripts.toolkit.tests.benchmarks import measured
from ansible_collections.scripts.toolkit.tests.benchmarks.figures import summarize, table

_IN_A_DIRECTORY = 1000
_BAD_EVERY = 100


def make_tree(top: Path, entries: int) -> None:
    """Make ``entries`` files in directories of a thousand; all may write every hundredth."""
    for number in range(entries):
        directory = top / f"{number // _IN_A_DIRECTORY}"
        if number % _IN_A_DIRECTORY == 0:
            directory.mkdir()
        descriptor = os.open(directory / f"{number}", os.O_CREAT | os.O_WRONLY, 0o644)
        os.fchmod(descriptor, 0o646 if number % _BAD_EVERY == 0 else 0o644)
        os.close(descriptor)


def check(top: str) -> dict:
    """Check the tree as the module does; return how many entries and violations, and the most memory, in MiB."""
    spec = rules_spec(defaults=True)
    options = {name: option.get("default") for name, option in spec.items()}
    options.update(exclude=[], one_file_system=False, limit=100, max_entries=10_000_000, fail=False)
    wish = {**dict.fromkeys(spec), "path": top, "recurse": True, "sha256": None, "exclude": []}
    result = check_paths({**options, "paths": [wish]})
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"checked": result["checked"], "violations": result["violation_count"], "mib": round(most / 1024, 1)}


def compare(top: Path, rounds: int, environment: dict[str, str]) -> tuple[list, list, dict]:
    """Return the runs of ours and of find, one after the other in each round, and what ours told at last."""
    ours, finds, told = [], [], {}
    for _round in range(rounds):
        ours.append(measured.run([sys.executable, __file__, "--check", str(top)], environment, top))
        told = json.loads(ours[-1].output)
        predicate = ["(", "-perm", "-0002", "-o", "-perm", "-4000", ")", "!", "-type", "l"]
        finds.append(measured.run(["find", str(top), *predicate], environment, top))
        if len(finds[-1].output.splitlines()) != told["violations"]:
            raise SystemExit(f"find found {len(finds[-1].output.splitlines())}, we {told['violations']}.")
    return ours, finds, told


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", type=Path, help="where the tree is made")
    parser.add_argument("--check", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.check:
        json.dump(check(options.check), sys.stdout)
        return 0
    rows = []
    for entries in sorted({options.entries // 100, options.entries}):
        with tempfile.TemporaryDirectory(prefix="toolkit-bench-", dir=options.directory) as temporary:
            top = Path(temporary)
            make_tree(top, entries)
            ours, finds, told = compare(top, options.rounds, dict(os.environ))
        for name, runs, mib in (("path_permissions_info", ours, told["mib"]), ("find -perm", finds, "")):
            rate = summarize([told["checked"] / run.wall for run in runs])
            seconds = summarize([run.processor for run in runs])
            rows.append((name, f"{told['checked']:,}", f"{rate['median']:,.0f}", f"{seconds['median']:.2f}", mib))
    print(table(("", "entries", "entries a second", "processor, s", "most memory, MiB"), rows))
    machine = measured.sentence(measured.machine())
    print(f"\n{machine}; load {os.getloadavg()[0]:.1f}; {options.rounds} rounds, medians, caches warm.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
