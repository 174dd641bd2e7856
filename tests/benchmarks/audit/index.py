# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The index of the audit trail: how fast it is made, how much memory that takes, and how long a search takes, against
jq reading the same file. Prints JSON.

    python index.py [--entries 1000000] [--rounds 5] [--directory DIRECTORY]

The log is one segment, so that jq and the index read the same bytes. A search is the first page of 100 entries; jq has
to read all of the file, since the newest entries are at its end. The cold search is the first in its process.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.recorder import Identity, Recorder
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.index.index import Index
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.query import filters_of
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.integrator import integrate
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.journal import JournalSink

_PAGE = 100
_RUNS = 100
_MODULES = ("ansible.builtin.copy", "ansible.builtin.command", "ansible.builtin.template", "ansible.builtin.user",
            "scripts.toolkit.packages", "scripts.toolkit.services", "scripts.toolkit.file_tree")  # fmt: skip
_HOST = "web071.example.com"
_SEARCHES = (
    ("status failed", {"status": "failed"}, 'select(.details.status == "failed")'),
    ("host and status", {"host": _HOST, "status": "failed"},
     f'select(.details.status == "failed" and .details.host == "{_HOST}")'),
    ("user, module, status", {"user": "alice", "module": "copy", "status": "changed"},
     'select(.user == "alice" and .details.module == "ansible.builtin.copy" and .details.status == "changed")'),
    ("path below", {"path": "/etc/app/a1"}, 'select(.details.path == "/etc/app/a1")'),
    ("script by pattern", {"script": "*play7*", "event": "EXECUTION_END"},
     'select(.event_type == "EXECUTION_END" and (.script | test("play7")))'),
    ("text, common", {"text": "configure"}, 'select(.details | tostring | test("configure"; "i"))'),
    ("text, rare", {"text": '"permission denied" raretoken77'},
     'select(.details | tostring | test("permission denied.*raretoken77"; "i"))'),
    ("text and filters", {"text": "denied", "host": _HOST, "user": "alice"},
     f'select(.user == "alice" and .details.host == "{_HOST}" and (.details | tostring | test("denied"; "i")))'),
)  # fmt: skip


def make_log(directory: Path, entries: int) -> None:
    """Record so many entries in a hundred runs and take them into one segment."""
    directory.mkdir(mode=0o700, parents=True)
    (directory / "settings.json").write_text(json.dumps({"segment_bytes": 1 << 40}))
    chance = random.Random(1)
    words = [f"w{chance.randrange(16**6):06x}" for _number in range(5000)]
    for run in range(_RUNS):
        user = ("root", "deploy", "alice", "bob")[run % 4]
        identity = Identity.of_this_process(
            "ansible-playbook site.yml --inventory hosts.yml --limit web --extra-vars ***"
        )
        identity = Identity(**{**identity.__dict__, "user": user})
        sink = JournalSink(str(directory), identity.run_id, sync_interval=3600)
        recorder = Recorder(identity, f"/srv/ansible/project/play{run % 30}.yml", sink)
        recorder.record("EXECUTION_START", {"check": False, "playbooks": ["site.yml"], "tags": ["all"]})
        for number in range(entries // _RUNS - 3):
            task = number // 50
            status = chance.choices(("ok", "changed", "failed", "skipped"), (70, 25, 1, 4))[0]
            details = {
                "task": f"Configure {words[task % 5000]} {words[task * 7 % 5000]}",
                "task_id": f"{run:08x}-{task:04x}-4a3b-9f1c-0000000001f7",
                "task_path": f"/srv/ansible/project/roles/web/tasks/main.yml:{task}",
                "module": _MODULES[task % len(_MODULES)],
                "play": 1,
                "host": f"web{number % 200:03d}.example.com",
                "status": status,
                "changed": status == "changed",
                "duration_ms": chance.randrange(2000),
            }
            if status == "changed":
                details["path"] = f"/etc/app/a{chance.randrange(20000)}"
                details["checksum"] = f"{chance.randrange(16**40):040x}"
            if status == "failed":
                rare = f" raretoken{chance.randrange(200)}"
                details["msg"] = "Permission denied: " + " ".join(chance.choices(words, k=8)) + rare
            recorder.record("TASK_RESULT", details)
        recorder.record("EXECUTION_END", {"status": "success" if run % 10 else "failed", "duration_ms": 1000 + run})
        recorder.close()
        integrate(str(directory), lambda _end: None)


def _resident() -> int:
    """Return the most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def make_index(directory: Path) -> dict:
    """Index the log in this process and return what it took."""
    memory: list[int] = []

    def told(_done: int, _total: int) -> None:
        memory.append(_resident())

    began, processor = time.monotonic(), time.process_time()
    with Index(str(directory)) as index:
        before = _resident()
        entries = index.catch_up(told)
    wall, processor = time.monotonic() - began, time.process_time() - processor
    return {
        "entries_per_second": round(entries / wall),
        "processor_us_per_entry": round(processor / entries * 1e6, 1),
        "index_bytes": os.path.getsize(directory / "index.sqlite"),
        "resident_mib": {"before": before, "after_a_tenth": memory[len(memory) // 10], "at_the_end": memory[-1]},
    }


def search(directory: Path, options: dict, rounds: int) -> dict:
    """Return how long the first page takes: the first time and the median of so many more, in milliseconds."""
    filters, times, rows = filters_of(options), [], 0
    with Index(str(directory)) as index:
        index.catch_up()
        for _round in range(rounds + 1):
            began = time.perf_counter()
            rows = len(index.search(filters, _PAGE).entries)
            times.append((time.perf_counter() - began) * 1000)
    return {"rows": rows, "cold_ms": round(times[0], 2), "ms": round(statistics.median(times[1:]), 2)}


def read_with_jq(log: Path, expression: str) -> dict:
    """Return how long jq takes to find all entries, and how many they are."""
    began = time.monotonic()
    done = subprocess.run(["jq", "-c", f"{expression} | 1", str(log)], capture_output=True, check=True)
    return {"jq_s": round(time.monotonic() - began, 2), "matches": done.stdout.count(b"\n")}


def command(directory: Path, rounds: int) -> float:
    """Return the median of what a whole call of the command takes, in milliseconds: Python's start included."""
    times = []
    for _round in range(rounds):
        began = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "ansible_collections.scripts.toolkit.cli", "audit", "search", "--log-directory",
             str(directory), "--host", _HOST, "--status", "failed"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True,
        )  # fmt: skip
        times.append((time.monotonic() - began) * 1000)
    return round(statistics.median(times), 1)


def measure(place: Path, entries: int, rounds: int) -> dict:
    """Return all figures."""
    directory = place / "trail"
    make_log(directory, entries)
    log = directory / "audit.jsonl"
    found: dict = {"entries": entries, "log_bytes": os.path.getsize(log)}
    done = subprocess.run(
        [sys.executable, __file__, "--index-only", str(directory)], stdout=subprocess.PIPE, check=True, text=True
    )
    found.update(json.loads(done.stdout))
    found["searches"] = {}
    for name, options, expression in _SEARCHES:
        one = {**search(directory, options, rounds), **(read_with_jq(log, expression) if shutil.which("jq") else {})}
        if "jq_s" in one:
            one["times_faster_than_jq"] = round(one["jq_s"] * 1000 / one["ms"])
            if one["rows"] != min(one["matches"], _PAGE):
                raise SystemExit(f"{name}: the index finds {one['rows']} entries, jq {one['matches']}.")
        found["searches"][name] = one
    found["whole_command_ms"] = command(directory, rounds)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", type=Path, help="where to work (default: a temporary directory)")
    parser.add_argument("--index-only", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.index_only:
        print(json.dumps(make_index(options.index_only)))
        return 0
    with tempfile.TemporaryDirectory(dir=options.directory) as place:
        print(json.dumps(measure(Path(place), options.entries, options.rounds), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
