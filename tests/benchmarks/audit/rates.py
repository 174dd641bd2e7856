# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rates of the log itself, as JSON: rates.py append|verify [--directory DIRECTORY]

append: see append.py. verify: entries a second of a log with entries of 1 KB, hashing only and with every line parsed,
on two processes, what the command does.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from ansible_collections.scripts.toolkit.cli.audit.proof import _on_processes
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.verify import verify
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.recorder import Identity, Recorder
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.integrator import integrate
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.journal import JournalSink
from ansible_collections.scripts.toolkit.tests.benchmarks.audit import append as appending

_ENTRIES = 240_000
_KILOBYTE = 1000
_RATES = ((1, None), (1, 10_000), (20, None), (20, 5_000))


def append(place: Path, seconds: float = 3.0) -> list[dict]:
    """Return what append.py measures, each with the rate that was asked for."""
    return [
        {"asked": rate or "most", **appending.measure(str(place / f"{processes}-{rate}"), processes, seconds, rate)}
        for processes, rate in _RATES
    ]


def make_log(directory: Path, entries: int) -> float:
    """Make a log of so many entries in three runs; return their average size in bytes."""
    for _run in range(3):
        identity = Identity.of_this_process("ansible-playbook --inventory hosts site.yml")
        recorder = Recorder(identity, "/srv/deploy/site.yml", JournalSink(str(directory), identity.run_id))
        recorder.record("EXECUTION_START", {})
        for number in range(entries // 3):
            recorder.record("TASK_RESULT", {"host": "web17", "n": number, "msg": "x" * (_KILOBYTE - 480)})
        recorder.record("EXECUTION_END", {"status": "success"})
        recorder.close()
        integrate(str(directory), lambda _end: None)
    log = directory / "audit.jsonl"
    with open(log, "rb") as handle:
        lines = handle.read(1 << 20).splitlines()[:-1]
    return sum(map(len, lines)) / len(lines)


def verify_rates(place: Path, entries: int = _ENTRIES, rounds: int = 3) -> dict:
    """Return the rates; of several rounds the median."""
    directory = place / "trail"
    size = make_log(directory, entries)
    found: dict = {"entries": entries, "bytes_per_entry": round(size), "processes": 2}
    for name, parse in (("hashing_only_per_second", False), ("parsing_per_second", True)):
        taken = []
        for _round in range(rounds):
            began = time.monotonic()
            report = verify(str(directory), parse=parse, run=_on_processes(2))
            taken.append(time.monotonic() - began)
            if not report.ok:
                raise SystemExit(f"The log does not verify: {report.findings[:3]}")
        found[name] = round(report.size / sorted(taken)[rounds // 2])
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("append", "verify"))
    parser.add_argument("--directory", help="where to write, on the kind of disk that is of interest")
    options = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="rates-", dir=options.directory))
    try:
        found = append(place) if options.what == "append" else verify_rates(place)
    finally:
        shutil.rmtree(place)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
