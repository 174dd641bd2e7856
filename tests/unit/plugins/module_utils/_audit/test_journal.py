# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import resource
import signal
import stat
import threading
import time

import pytest

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.journal import JournalSink, finished_journals

# Ansible's own imports may have started threads; the children here only make system calls and die.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def in_child(work):
    """Run ``work`` in a forked process and return its pid; it ends by ``os._exit``."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
        os._exit(0)
    except BaseException:
        os._exit(1)


def waited(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def finished(directory):
    """Ask another process, as record locks do not hold within one."""
    read, write = os.pipe()
    pid = in_child(lambda: os.write(write, json.dumps([run for run, _fd in finished_journals(directory)]).encode()))
    os.close(write)
    with os.fdopen(read) as pipe:
        names = pipe.read()
    assert waited(pid) == 0
    return json.loads(names)


def test_private_from_the_first_byte(tmp_path):
    old = os.umask(0)
    try:
        sink = JournalSink(str(tmp_path / "a" / "log"), "run")
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(sink.path).st_mode) == 0o600
    for directory in ("a", "a/log", "a/log/journal"):
        assert stat.S_IMODE(os.stat(tmp_path / directory).st_mode) == 0o700
    sink.close()


def test_what_is_recorded_survives_kill(tmp_path):
    """Each line is counted over a pipe after write() returned; at least those must be in the file."""
    read, write = os.pipe()

    def work():
        sink = JournalSink(str(tmp_path), "run")
        for number in range(1_000_000):
            sink.write(b'{"n":%d}\n' % number)
            os.write(write, b".")

    pid = in_child(work)
    os.close(write)
    seen = 0
    while seen < 2000:
        seen += len(os.read(read, 4096))
    os.kill(pid, signal.SIGKILL)
    while block := os.read(read, 4096):
        seen += len(block)
    os.close(read)
    assert waited(pid) == -signal.SIGKILL
    lines = (tmp_path / "journal" / "run.jsonl").read_bytes().splitlines()
    assert len(lines) >= seen
    assert [json.loads(line)["n"] for line in lines] == list(range(len(lines)))


def test_a_journal_is_finished_when_its_writer_is_gone_even_if_a_forked_worker_lives(tmp_path):
    ready, done = os.pipe(), os.pipe()

    def work():
        sink = JournalSink(str(tmp_path), "run")
        sink.write(b"{}\n")
        worker = os.fork()
        if not worker:
            os.close(done[1])
            os.read(done[0], 1)  # outlives its parent
            os._exit(0)
        os.write(ready[1], b".")
        time.sleep(60)

    pid = in_child(work)
    os.close(done[0])
    os.read(ready[0], 1)
    assert finished(str(tmp_path)) == []
    os.kill(pid, signal.SIGKILL)
    waited(pid)
    assert finished(str(tmp_path)) == ["run"]
    os.close(done[1])


def test_finished_journals_come_in_order_of_time_and_the_begun_one_first(tmp_path):
    for name in ("03", "01", "02"):
        sink = JournalSink(str(tmp_path), name)
        sink.close()
    assert [run for run, _fd in finished_journals(str(tmp_path))] == ["01", "02", "03"]
    assert [run for run, _fd in finished_journals(str(tmp_path), first="02")] == ["02", "01", "03"]


def test_a_full_disk_leaves_whole_lines(tmp_path):
    def work():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        sink = JournalSink(str(tmp_path), "run")
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        failed = 0
        for _number in range(20):
            try:
                sink.write(b"x" * 99 + b"\n")
            except OSError as error:
                failed += error.filename == sink.path
        assert failed == 10
        resource.setrlimit(resource.RLIMIT_FSIZE, (1150, resource.RLIM_INFINITY))
        for _number in range(2):  # the second is written in part first
            try:
                sink.write(b"y" * 99 + b"\n")
            except OSError:
                failed += 1
        assert failed == 11

    assert waited(in_child(work)) == 0
    lines = (tmp_path / "journal" / "run.jsonl").read_bytes().splitlines()
    assert lines == [b"x" * 99] * 10 + [b"y" * 99]


def test_sync_waits_for_the_interval_and_for_nothing_else(tmp_path):
    sink = JournalSink(str(tmp_path), "lazy", sync_interval=3600)
    for _number in range(100):
        sink.write(b"{}\n")
    assert sink.syncs == 0
    sink.sync()
    sink.sync()
    assert sink.syncs == 1  # nothing new, nothing to do
    sink.close()
    each = JournalSink(str(tmp_path), "each", sync_interval=0)
    for _number in range(10):
        each.write(b"{}\n")
    assert each.syncs == 10
    each.close()


def test_the_interval_makes_durable_without_anybody_asking(tmp_path):
    sink = JournalSink(str(tmp_path), "run", sync_interval=0.01)
    sink.write(b"{}\n")
    end = time.monotonic() + 30
    while sink.syncs == 0 and time.monotonic() < end:
        time.sleep(0.01)
    assert sink.syncs == 1
    sink.close()


def test_a_sync_of_the_thread_that_failed_is_tried_again_without_anybody_asking(tmp_path, monkeypatch):
    real, failed = os.fdatasync, []

    def failing(descriptor):
        if len(failed) < 2:
            failed.append(threading.current_thread().name)
            raise OSError(5, "Input/output error")
        real(descriptor)

    sink = JournalSink(str(tmp_path), "run", sync_interval=0.01)
    monkeypatch.setattr(os, "fdatasync", failing)
    sink.write(b"{}\n")
    end = time.monotonic() + 30
    while sink.syncs == 0 and time.monotonic() < end:
        time.sleep(0.01)
    assert failed == ["scripts-toolkit-audit"] * 2
    assert sink.syncs == 1
    sink.close()


def test_sync_waits_for_what_the_thread_is_about_to_make_durable(tmp_path, monkeypatch):
    real, begun, going_on, ended = os.fdatasync, threading.Event(), threading.Event(), []

    def slow(descriptor):
        begun.set()
        going_on.wait(30)
        real(descriptor)
        ended.append(threading.current_thread().name)

    sink = JournalSink(str(tmp_path), "run", sync_interval=0.01)
    monkeypatch.setattr(os, "fdatasync", slow)
    sink.write(b"{}\n")
    assert begun.wait(30)
    threading.Timer(0.05, going_on.set).start()
    sink.sync()
    assert ended == ["scripts-toolkit-audit"]
    sink.close()


def test_two_runs_never_share_a_journal(tmp_path):
    sink = JournalSink(str(tmp_path), "run")
    sink.close()
    (tmp_path / "journal" / ".run.new").touch()
    with pytest.raises(FileExistsError):
        JournalSink(str(tmp_path), "run")
