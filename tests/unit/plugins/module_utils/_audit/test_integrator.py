# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import signal
import time
import tracemalloc

import pytest
from audit_store import entries_of, in_child, journals, line, of_runs, repairs, runs_of, waited, write_run

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.metrics.counters import MetricsSink
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.integrator import (
    LOG_NAME,
    integrate,
    integrate_living,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.journal import JournalSink, finished_journals

# Ansible's own imports may have started threads; the children here only make system calls and die.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def nobody(_end):
    """Count nothing."""


def test_runs_are_appended_once_in_order_of_time(tmp_path):
    for run_id in ("02", "01"):
        write_run(tmp_path, run_id)
    told = []
    assert integrate(str(tmp_path), told.append) == ["01", "02"]
    assert integrate(str(tmp_path), told.append) == []
    assert runs_of(tmp_path) == ["01", "02"]
    assert [end["event_type"] for end in told] == ["EXECUTION_END"] * 2
    assert journals(tmp_path) == []
    for name in (LOG_NAME, "state.json", "checkpoint"):
        assert os.stat(tmp_path / name).st_mode & 0o777 == 0o600


def test_a_run_without_end_is_closed_as_interrupted_without_its_torn_line(tmp_path):
    write_run(tmp_path, "01", end=False, torn=b'{"event_type":"TASK_RES')
    told = []
    integrate(str(tmp_path), told.append)
    last = of_runs(tmp_path)[-1]
    assert last["event_type"] == "INTERRUPTED"
    assert last["run_id"] == "01"
    assert last["details"]["torn_bytes"] == 23
    assert last["details"]["last_event"] == "TASK_RESULT"
    assert told == [last]
    assert len(of_runs(tmp_path)) == 5


def test_damaged_journals_hold_up_nobody_and_what_is_whole_is_kept(tmp_path):
    JournalSink(str(tmp_path), "01").close()
    write_run(tmp_path, "02", torn=b'\0\0\0\n{"event_type":"TASK_RESULT"}\n')
    write_run(tmp_path, "03", end=False, torn=b'{"no":"record"}\n')
    write_run(tmp_path, "04")
    integrate(str(tmp_path), nobody)
    assert runs_of(tmp_path) == ["02", "03", "04"]
    assert journals(tmp_path) == ["02.damaged", "03.damaged"]
    assert (tmp_path / "journal" / "03.damaged").read_bytes() == b'{"no":"record"}\n'
    assert [(found["repair"], found["journal"]) for found in repairs(tmp_path)] == [
        ("journal", "02"),
        ("journal", "03"),
    ]
    ends = [
        entry["event_type"] for entry in of_runs(tmp_path) if entry["event_type"] in ("EXECUTION_END", "INTERRUPTED")
    ]
    assert ends == ["EXECUTION_END", "INTERRUPTED", "EXECUTION_END"]


def test_who_is_counting_may_fail_without_harm(tmp_path):
    write_run(tmp_path, "02")
    write_run(tmp_path, "03", end=False, torn=b"{")

    def broken(end):
        raise OSError(30, "Read-only file system")

    with pytest.raises(OSError, match="Read-only"):
        integrate(str(tmp_path), broken)
    told = []
    assert integrate(str(tmp_path), told.append) == ["02", "03"]
    assert [end["event_type"] for end in told] == ["EXECUTION_END", "INTERRUPTED"]
    assert runs_of(tmp_path) == ["02", "03"]


def test_many_at_once_integrate_everything_exactly_once(tmp_path):
    """Whoever ends last leaves no journal behind, though nobody waited for the lock."""

    def work(number):
        write_run(tmp_path, f"{number:02}", events=20)
        integrate(str(tmp_path), MetricsSink(str(tmp_path), None).fold)

    children = [in_child(lambda number=number: work(number)) for number in range(20)]
    assert [waited(pid) for pid in children] == [0] * 20
    assert journals(tmp_path) == []
    assert sorted(runs_of(tmp_path)) == [f"{number:02}" for number in range(20)]
    assert json.loads((tmp_path / "metrics.json").read_text(encoding="ascii"))["runs"] == {"success": 20}


def test_nobody_waits_for_a_stopped_holder_of_the_lock(tmp_path):
    write_run(tmp_path, "01")
    read, write = os.pipe()

    def stop(end):
        if end["run_id"] == "01":
            os.write(write, b".")
            os.kill(os.getpid(), signal.SIGSTOP)

    pid = in_child(lambda: integrate(str(tmp_path), stop))
    os.read(read, 1)
    os.waitpid(pid, os.WUNTRACED)
    write_run(tmp_path, "02")
    assert integrate(str(tmp_path), nobody) == []  # and it came back
    assert integrate_living(str(tmp_path), "02") == 0
    os.kill(pid, signal.SIGCONT)
    assert waited(pid) == 0
    assert runs_of(tmp_path) == ["01", "02"]
    assert journals(tmp_path) == []


def test_the_journal_of_a_living_run_is_left_alone(tmp_path):
    read, write = os.pipe()

    def live():
        sink = JournalSink(str(tmp_path), "01")
        sink.write(line("01", "EXECUTION_START"))
        os.write(write, b".")
        time.sleep(60)

    pid = in_child(live)
    os.read(read, 1)
    write_run(tmp_path, "02")
    assert integrate(str(tmp_path), nobody) == ["02"]
    os.kill(pid, signal.SIGKILL)
    waited(pid)
    assert integrate(str(tmp_path), nobody) == ["01"]
    assert runs_of(tmp_path) == ["02", "01"]


def test_a_living_run_is_taken_in_piece_by_piece(tmp_path):
    sink = JournalSink(str(tmp_path), "01")
    sink.write(line("01", "EXECUTION_START"))
    assert integrate_living(str(tmp_path), "01") == 1
    assert integrate_living(str(tmp_path), "01") == 0
    for number in range(3):
        sink.write(line("01", "TASK_RESULT", n=number))
    assert integrate(str(tmp_path), nobody) == []  # its own living journal is not finished
    assert integrate_living(str(tmp_path), "01") == 3
    assert len(of_runs(tmp_path)) == 4
    locked = in_child(lambda: os._exit(len(list(finished_journals(str(tmp_path))))))
    assert waited(locked) == 0  # reading the journal did not give up its sign of life
    sink.write(line("01", "EXECUTION_END", status="success"))
    sink.close()
    told = []
    assert integrate(str(tmp_path), told.append) == ["01"]
    assert [end["event_type"] for end in told] == ["EXECUTION_END"]
    assert runs_of(tmp_path) == ["01"]


def test_a_run_that_was_taken_in_and_killed_is_closed(tmp_path):
    def live():
        sink = JournalSink(str(tmp_path), "01")
        sink.write(line("01", "EXECUTION_START"))
        sink.write(line("01", "TASK_RESULT", n=0))
        assert integrate_living(str(tmp_path), "01") == 2
        sink.write(line("01", "TASK_RESULT", n=1)[:20])
        os.kill(os.getpid(), signal.SIGKILL)

    assert waited(in_child(live)) == -signal.SIGKILL
    told = []
    assert integrate(str(tmp_path), told.append) == ["01"]
    assert runs_of(tmp_path) == ["01"]
    assert told[0]["details"]["torn_bytes"] == 20
    assert told[0]["details"]["last_event"] == "TASK_RESULT"


def test_a_clock_that_goes_backwards_does_no_harm(tmp_path, monkeypatch):
    real = time.time
    (tmp_path / "settings.json").write_text('{"segment_age": 3600}')
    for number, shift in enumerate((10**6, -(10**6), 0)):
        monkeypatch.setattr(time, "time", lambda shift=shift: real() + shift)
        write_run(tmp_path, f"{number:02}", events=300)
        assert integrate(str(tmp_path), nobody) == [f"{number:02}"]
    assert runs_of(tmp_path) == ["00", "01", "02"]
    assert [entry["details"]["first"] for entry in entries_of(tmp_path) if entry["event_type"] == "SEGMENT_CLOSED"] == [
        0
    ]


def test_memory_does_not_grow_with_a_journal(tmp_path):
    """Measured from one length to another, so that what is needed once does not count."""

    def peak(run_id, events):
        with open(tmp_path / "journal" / f"{run_id}.jsonl", "wb") as handle:
            handle.write(line(run_id, "EXECUTION_START"))
            for start in range(0, events, 1000):
                handle.write(
                    b"".join(line(run_id, "TASK_RESULT", n=n, pad="x" * 900) for n in range(start, start + 1000))
                )
            handle.write(line(run_id, "EXECUTION_END", status="success"))
        tracemalloc.start()
        assert integrate(str(tmp_path), nobody) == [run_id]
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    write_run(tmp_path, "00")
    integrate(str(tmp_path), nobody)
    small = peak("01", 9_000)
    assert peak("02", 25_000) < small * 1.2
