# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kill -9 and power loss at every file operation: no recorded line is lost to the one, no durable one to the other,
none is there twice, and the log verifies after the next start."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from audit_power import with_power_losses
from audit_store import entries_of, in_child, journals, killed_at, line, repairs, runs_of, verified, waited, write_run

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.metrics.counters import MetricsSink
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.integrator import integrate, integrate_living
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.journal import JournalSink

# Ansible's own imports may have started threads; the children here only make system calls and die.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

EVENTS = 130


@pytest.fixture
def memory():
    """A directory in memory: what fsync costs does not matter here, and there are very many of them."""
    path = Path(tempfile.mkdtemp(prefix="audit-", dir="/dev/shm"))
    yield path
    shutil.rmtree(path)


def scene(directory):
    """A log of one run and two ended runs to take in, after which the segment is due to be closed."""
    directory.mkdir()
    (directory / "settings.json").write_text('{"segment_bytes": 25000}')
    write_run(directory, "00", events=40)
    work(directory)
    write_run(directory, "02", events=EVENTS)
    write_run(directory, "03", end=False, events=EVENTS, torn=b"{")


def work(directory):
    return integrate(str(directory), MetricsSink(str(directory), None).fold)


def check(directory, expected, where):
    """Take in what is left, look whether everything is there once, and return what was repaired."""
    work(directory)
    entries = entries_of(directory)
    assert sorted(runs_of(directory, entries)) == sorted(expected), where
    assert journals(directory) == [], where
    assert [name for name in os.listdir(directory) if name.startswith(".audit")] == [], where
    assert [name for name in os.listdir(directory / "segments") if name.startswith(".")] == [], where
    counts = json.loads((directory / "metrics.json").read_text(encoding="ascii"))["runs"]
    assert sum(counts.values()) == len(expected), where
    if int(where.split()[-1].split("-")[0]) % 5 == 0:
        verified(directory)
    return repairs(directory, entries)


def test_kill_at_any_file_operation(memory):
    template = memory / "template"
    scene(template)
    number, cuts = 0, 0
    while True:
        number += 1
        directory = memory / str(number)
        shutil.copytree(template, directory)
        killed = killed_at(number, lambda directory=directory: work(directory))
        write_run(directory, "01", events=1)  # an older run that ended meanwhile must not confuse the counting
        found = check(directory, ["00", "01", "02", "03"], f"killed at operation {number}")
        assert {repair["repair"] for repair in found} <= {"tail"}
        assert [repair for repair in found if repair["kept"]] == []
        cuts += len(found)
        if not killed:
            break
        shutil.rmtree(directory)
    assert number > 80
    assert cuts > 5


def test_kill_at_any_file_operation_of_the_repair(memory):
    """The second crash comes while the first is repaired."""
    template = memory / "template"
    scene(template)
    for number in range(1, 1000):  # the first operation that leaves something to repair
        killed_at(number, lambda: work(template))
        state = json.loads((template / "state.json").read_bytes())
        if (template / "audit.jsonl").stat().st_size > state["bytes"] + 20000:
            break
    for number in range(1, 1000):
        directory = memory / str(number)
        shutil.copytree(template, directory)
        killed = killed_at(number, lambda directory=directory: work(directory))
        found = check(directory, ["00", "02", "03"], f"killed at operation {number}")
        assert [repair for repair in found if repair["kept"]] == []
        assert [repair for repair in found if repair["bytes"] > 20000]
        shutil.rmtree(directory)
        if not killed:
            break
    assert number > 80


def test_kill_at_any_file_operation_while_a_damaged_tree_is_built_anew(memory):
    template = memory / "template"
    scene(template)
    (partial,) = (template / "tile" / "0").glob("*.p/*")
    partial.write_bytes(b"\0" + partial.read_bytes()[1:])
    for number in range(1, 1000):
        directory = memory / str(number)
        shutil.copytree(template, directory)
        killed = killed_at(number, lambda directory=directory: work(directory))
        found = check(directory, ["00", "02", "03"], f"killed at operation {number}")
        trees = [repair for repair in found if repair["repair"] == "tree"]
        assert trees, number
        assert [repair["same_root"] for repair in trees] == [True] * len(trees), number
        shutil.rmtree(directory)
        if not killed:
            break
    assert number > 100


def test_power_loss_at_any_file_operation(memory):
    origin, images = memory / "origin", memory / "images"
    scene(origin)
    for name in with_power_losses(origin, images, lambda: work(origin)):
        check(images / name, ["00", "02", "03"], f"operation and outcome {name}")


def test_what_is_acknowledged_survives_power_loss(memory):
    """A run writes, syncs, and is taken in piece by piece; the power goes at every operation of that."""
    origin, images = memory / "origin", memory / "images"
    origin.mkdir()
    acknowledged = [0]

    def run():
        sink = JournalSink(str(origin), "01", sync_interval=3600)
        sink.write(line("01", "EXECUTION_START"))
        for number in range(12):
            sink.write(line("01", "TASK_RESULT", n=number))
            if number % 3 == 2:
                sink.sync()
                acknowledged[0] = number + 1
            if number % 4 == 3:
                integrate_living(str(origin), "01")

    for name in with_power_losses(origin, images, run, lambda: str(acknowledged[0])):
        directory = images / name
        known = int(name.rpartition("-")[2])
        work(directory)
        if known or (directory / "checkpoint").exists():
            results = [entry for entry in entries_of(directory) if entry["event_type"] == "TASK_RESULT"]
            assert len(results) >= known, name
            assert runs_of(directory) in ([], ["01"]), name


def test_random_kills_of_writing_runs(memory):
    """Six runs at a time write, take in and are killed; every line whose write had returned is in the log once."""
    chance = random.Random(20260102)
    (memory / "settings.json").write_text('{"segment_bytes": 50000}')
    acknowledged = {}
    for round_number in range(3):
        children = {}
        for number in range(6):
            run_id = f"{round_number}{number}"
            read, write = os.pipe()

            seed = chance.random()

            def live(run_id=run_id, write=write, seed=seed):
                own = random.Random(seed)
                sink = JournalSink(str(memory), run_id, sync_interval=own.choice([0.001, 3600]))
                sink.write(line(run_id, "EXECUTION_START"))
                for n in range(1_000_000):
                    sink.write(line(run_id, "TASK_RESULT", n=n))
                    os.write(write, b".")
                    if own.random() < 0.02:
                        integrate_living(str(memory), run_id)

            children[run_id] = (in_child(live), read)
            os.close(write)
        for run_id, (pid, read) in children.items():
            seen, wanted = 0, chance.randrange(1, 400)
            while seen < wanted:
                seen += len(os.read(read, 256))
            os.kill(pid, signal.SIGKILL)
            while block := os.read(read, 65536):
                seen += len(block)
            os.close(read)
            assert waited(pid) == -signal.SIGKILL
            acknowledged[run_id] = seen
        work(memory)
    assert sorted(runs_of(memory)) == sorted(acknowledged)
    counts = dict.fromkeys(acknowledged, 0)
    for entry in entries_of(memory):
        if entry["event_type"] == "TASK_RESULT":
            counts[entry["run_id"]] += 1
    for run_id, seen in acknowledged.items():
        assert counts[run_id] >= seen
    assert journals(memory) == []
    verified(memory)
