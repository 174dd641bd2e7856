# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._audit import integrator
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.integrator import LOG_NAME, integrate
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.journal import JournalSink
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.metrics import MetricsSink

CRASH = 86


def record(run_id, event_type, **details):
    return {
        "details": details,
        "event_type": event_type,
        "run_id": run_id,
        "salt": "00",
        "timestamp": "2026-01-02T03:04:05.678Z",
    }


def line(*args, **kwargs):
    return json.dumps(record(*args, **kwargs)).encode() + b"\n"


def write_run(directory, run_id, end=True, events=3, torn=b""):
    sink = JournalSink(str(directory), run_id)
    sink.write(line(run_id, "EXECUTION_START"))
    for number in range(events):
        sink.write(line(run_id, "TASK_RESULT", n=number))
    if end:
        sink.write(line(run_id, "EXECUTION_END", status="success", duration_ms=10))
    if torn:
        sink.write(torn)
    sink.close()


def log(directory):
    return [json.loads(text) for text in (directory / LOG_NAME).read_bytes().splitlines()]


def runs_in_log(directory):
    """Return the run ids in order, asserting that each stands in one piece from its start to its end."""
    found = []
    for entry in log(directory):
        if entry["event_type"] == "EXECUTION_START":
            found.append(entry["run_id"])
        assert entry["run_id"] == found[-1]
    ends = [entry for entry in log(directory) if entry["event_type"] in ("EXECUTION_END", "INTERRUPTED")]
    assert [entry["run_id"] for entry in ends] == found
    return found


def journals(directory):
    return sorted(os.listdir(directory / "journal"))


def test_runs_are_appended_once_in_order_of_time(tmp_path):
    for run_id in ("02", "01"):
        write_run(tmp_path, run_id)
    told = []
    assert integrate(str(tmp_path), told.append) == ["01", "02"]
    assert integrate(str(tmp_path), told.append) == []
    assert runs_in_log(tmp_path) == ["01", "02"]
    assert [end["event_type"] for end in told] == ["EXECUTION_END"] * 2
    assert journals(tmp_path) == []
    assert not (tmp_path / "integrator.intent").exists()
    assert os.stat(tmp_path / LOG_NAME).st_mode & 0o777 == 0o600


def test_a_run_without_end_is_closed_as_interrupted_without_its_torn_line(tmp_path):
    write_run(tmp_path, "01", end=False, torn=b'{"event_type":"TASK_RES')
    told = []
    integrate(str(tmp_path), told.append)
    last = log(tmp_path)[-1]
    assert last["event_type"] == "INTERRUPTED"
    assert last["run_id"] == "01"
    assert last["details"]["torn_bytes"] == 23
    assert last["details"]["last_event"] == "TASK_RESULT"
    assert told == [last]
    assert len(log(tmp_path)) == 5


def test_empty_and_damaged_journals_hold_up_nobody(tmp_path):
    JournalSink(str(tmp_path), "01").close()
    write_run(tmp_path, "02", torn=b"\0\0\0\n")
    write_run(tmp_path, "03", torn=b'{"no":"record"}\n')
    write_run(tmp_path, "04")
    integrate(str(tmp_path), lambda end: None)
    assert runs_in_log(tmp_path) == ["04"]
    assert journals(tmp_path) == ["02.damaged", "03.damaged"]


def test_somebody_elses_broken_last_line_stays_alone(tmp_path):
    (tmp_path / LOG_NAME).write_bytes(b"garbage")
    write_run(tmp_path, "01")
    integrate(str(tmp_path), lambda end: None)
    lines = (tmp_path / LOG_NAME).read_bytes().splitlines()
    assert lines[0] == b"garbage"
    assert json.loads(lines[1])["run_id"] == "01"


@pytest.fixture
def two_runs(tmp_path):
    write_run(tmp_path, "02")
    write_run(tmp_path, "03", end=False, torn=b"{")
    return tmp_path


CALLS = ("write", "fdatasync", "fsync", "rename", "unlink", "ftruncate")


def crash_at(directory, number, after):
    """Integrate in a child that dies at the given file operation (before or after it); return whether it did."""
    pid = os.fork()
    if not pid:
        left = [number]

        def dying(real):
            def call(*args, **kwargs):
                left[0] -= 1
                if left[0] == 0 and not after:
                    os._exit(CRASH)
                result = real(*args, **kwargs)
                if left[0] == 0:
                    os._exit(CRASH)
                return result

            return call

        for name in CALLS:
            setattr(os, name, dying(getattr(os, name)))
        metrics = MetricsSink(str(directory), None)
        integrate(str(directory), metrics.fold)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, CRASH)
    return code == CRASH


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_any_file_operation_loses_and_doubles_nothing(tmp_path, after):
    number = 0
    while True:
        number += 1
        directory = tmp_path / str(number)
        directory.mkdir()
        write_run(directory, "02")
        write_run(directory, "03", end=False, torn=b"{")
        crashed = crash_at(directory, number, after)
        write_run(directory, "01")  # an older run that ended meanwhile must not confuse the counting
        metrics = MetricsSink(str(directory), None)
        integrate(str(directory), metrics.fold)
        assert sorted(runs_in_log(directory)) == ["01", "02", "03"]
        assert journals(directory) == []
        counts = json.loads((directory / "metrics.json").read_text(encoding="ascii"))["runs"]
        assert counts == {"success": 2, "interrupted": 1}, f"crash at operation {number}"
        if not crashed:
            break
    assert number > 20


def test_a_full_disk_leaves_the_log_as_it_was_and_the_journal(two_runs, monkeypatch):
    (two_runs / LOG_NAME).write_bytes(b"{}\n")
    real = os.write

    def full(descriptor, data):
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(LOG_NAME):
            real(descriptor, bytes(data)[:10])
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(integrator.os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        integrate(str(two_runs), lambda end: None)
    monkeypatch.undo()
    assert (two_runs / LOG_NAME).read_bytes() == b"{}\n"
    assert integrate(str(two_runs), lambda end: None) == ["02", "03"]
    assert len(log(two_runs)) == 1 + 5 + 5


def test_who_is_counting_may_fail_without_harm(two_runs):
    def broken(end):
        raise OSError(30, "Read-only file system")

    with pytest.raises(OSError, match="Read-only"):
        integrate(str(two_runs), broken)
    integrate(str(two_runs), lambda end: None)
    assert runs_in_log(two_runs) == ["02", "03"]


def test_many_at_once_integrate_everything_exactly_once(tmp_path):
    """Whoever ends last leaves no journal behind, though nobody waited for the lock."""
    children = []
    for number in range(12):
        pid = os.fork()
        if not pid:
            try:
                write_run(tmp_path, f"{number:02}", events=20)
                integrate(str(tmp_path), MetricsSink(str(tmp_path), None).fold)
                os._exit(0)
            except BaseException:
                os._exit(1)
        children.append(pid)
    for pid in children:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert journals(tmp_path) == []
    assert sorted(runs_in_log(tmp_path)) == [f"{number:02}" for number in range(12)]
    assert json.loads((tmp_path / "metrics.json").read_text(encoding="ascii"))["runs"] == {"success": 12}


def test_nobody_waits_for_a_stopped_holder_of_the_lock(tmp_path):
    write_run(tmp_path, "01")
    read, write = os.pipe()
    pid = os.fork()
    if not pid:

        def stop(end):
            if end["run_id"] == "01":
                os.write(write, b".")
                os.kill(os.getpid(), signal.SIGSTOP)

        integrate(str(tmp_path), stop)
        os._exit(0)
    os.read(read, 1)
    os.waitpid(pid, os.WUNTRACED)
    write_run(tmp_path, "02")
    assert integrate(str(tmp_path), lambda end: None) == []  # and it came back
    os.kill(pid, signal.SIGCONT)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert runs_in_log(tmp_path) == ["01", "02"]
    assert journals(tmp_path) == []


def test_the_journal_of_a_living_run_is_left_alone(tmp_path):
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        sink = JournalSink(str(tmp_path), "01")
        sink.write(line("01", "EXECUTION_START"))
        os.write(write, b".")
        time.sleep(60)
    os.read(read, 1)
    write_run(tmp_path, "02")
    assert integrate(str(tmp_path), lambda end: None) == ["02"]
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert integrate(str(tmp_path), lambda end: None) == ["01"]
    assert runs_in_log(tmp_path) == ["02", "01"]
