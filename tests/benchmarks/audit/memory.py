# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Memory of a process whose audit callback records more and more results of one run: memory.py [--most 500000]

The calls of a small real run are played again and again, each time as tasks that the callback has not seen yet. Prints
JSON: resident MiB at each number of results, and after the end of the run.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from captured import capture, fresh
from in_process import OurCallback

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident() -> float:
    """Return the resident memory of this process in MiB."""
    gc.collect()
    return round(int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE / 2**20, 1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=500_000)
    parser.add_argument("--detail", default="summary")
    parser.add_argument("--directory", type=Path, help="a directory on a disk with 1.5 KB for each result")
    parser.add_argument("--collections", required=True, help="ANSIBLE_COLLECTIONS_PATH")
    options = parser.parse_args()
    os.environ["ANSIBLE_COLLECTIONS_PATH"] = options.collections
    with tempfile.TemporaryDirectory(prefix="toolkit-bench-", dir=options.directory) as temporary:
        directory = Path(temporary)
        calls, _spent = capture(directory, 20, 25)
        tasks = list({id(call.args[0].task): call.args[0].task for call in calls if call.is_result}.values())
        ours = OurCallback(directory / "trail", options.detail)
        marks = [mark for mark in (1_000, 10_000, 100_000, 500_000, 1_000_000) if mark <= options.most]
        found: dict[str, float] = {}
        first = next(number for number, call in enumerate(calls) if call.name == "v2_playbook_on_play_start")
        for call in fresh(calls[: first + 1]):
            ours.take(call)
        found["0"] = resident()
        done, began = 0, time.monotonic()
        while marks:
            for number, task in enumerate(tasks):
                task._uuid = f"{done:08x}-0000-7000-8000-{number:012x}"
            for call in fresh(calls[first + 1 : -1]):
                ours.take(call)
                if call.is_result:
                    done += 1
                    if done == marks[0]:
                        found[str(marks.pop(0))] = resident()
                        if not marks:
                            break
        seconds = time.monotonic() - began
        ours.take(calls[-1])
        found["after the end of the run"] = resident()
        trail = sum(path.stat().st_size for path in (directory / "trail").rglob("*") if path.is_file())
        os.chdir("/")
    json.dump({"resident_mib": found, "trail_mib": round(trail / 2**20), "seconds": round(seconds)}, sys.stdout)


if __name__ == "__main__":
    main()
