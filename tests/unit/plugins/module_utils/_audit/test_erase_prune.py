# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from audit_power import OUTCOMES, with_power_losses
from audit_store import entries_of, killed_at, line, lines_of, of_runs, verified, write_run

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store import blobs, segments
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.erase import entries_of_run, erase
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.integrator import integrate, integrate_living
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.journal import JournalSink
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.prune import prune
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import (
    ConflictError,
    IntegrityError,
    NotFoundError,
    UnsafeError,
    ValidationError,
)

# Ansible's own imports may have started threads; the children here only make system calls and die.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def work(directory):
    return integrate(str(directory), lambda _end: None)


def build(directory, runs=4, segment_bytes=30000):
    (directory / "settings.json").write_text(json.dumps({"segment_bytes": segment_bytes}))
    for number in range(runs):
        write_run(directory, f"{number:02}", events=300)
        work(directory)


@pytest.fixture
def segmented(tmp_path):
    build(tmp_path)
    return tmp_path


@pytest.fixture
def memory():
    path = Path(tempfile.mkdtemp(prefix="audit-", dir="/dev/shm"))
    yield path
    shutil.rmtree(path)


def test_erased_entries_leave_their_hashes_in_closed_and_active_segments(segmented):
    before = dict(lines_of(segmented))
    last = max(before)
    doomed = [3, 4, 600, last - 5]
    told = erase(str(segmented), doomed, "privacy request 17")
    assert told == {"erased": doomed, "blobs": 0, "segments": 2}
    after = dict(lines_of(segmented))
    for index in before:
        if index in doomed:
            leaf = hashlib.sha256(b"\0" + before[index]).hexdigest()
            assert json.loads(after[index]) == {"erased": leaf, "event_type": "ERASED", "index": index}
            assert before[index] not in b"".join(path.read_bytes() for path in segmented.glob("*.jsonl"))
        else:
            assert after[index] == before[index]
    records = [entry["details"] for entry in entries_of(segmented) if entry["event_type"] == "ENTRY_ERASED"]
    assert [record["index"] for record in records] == doomed
    assert {record["reason"] for record in records} == {"privacy request 17"}
    assert [len(record["segments"]) for record in records] == [1, 1, 1, 0]
    # Again: nothing is left to do, and nothing is written.
    assert erase(str(segmented), doomed, "again") == {"erased": [], "blobs": 0, "segments": 0}
    assert dict(lines_of(segmented)) == after
    write_run(segmented, "09")
    assert work(segmented) == ["09"]
    entries_of(segmented)
    verified(segmented)


def test_what_may_not_be_erased(segmented):
    before = lines_of(segmented)
    own = next(index for index, text in before if b'"event_type":"SEGMENT_CLOSED"' in text)
    for indexes, reason, error in (
        ([5, own], "why", UnsafeError),
        ([len(before)], "why", NotFoundError),
        ([5], " ", ValidationError),
        ([5], "x" * 501, ValidationError),
    ):
        with pytest.raises(error):
            erase(str(segmented), indexes, reason)
        assert lines_of(segmented) == before
    sink = JournalSink(str(segmented), "99")
    sink.write(line("99", "EXECUTION_START"))
    integrate_living(str(segmented), "99")
    with pytest.raises(ConflictError, match="still in a journal"):
        erase(str(segmented), entries_of_run(str(segmented), "99"), "why")
    sink.close()
    work(segmented)
    assert erase(str(segmented), entries_of_run(str(segmented), "99"), "why")["erased"]
    with pytest.raises(NotFoundError):
        entries_of_run(str(segmented), "99")


def test_a_blob_goes_with_its_entry(tmp_path):
    told = blobs.write(str(tmp_path), b"large result")
    other = blobs.write(str(tmp_path), b"large result")
    assert told["bytes"] == 12
    assert told["sha256"] != other["sha256"]  # salted
    path = tmp_path / "blobs" / told["sha256"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert hashlib.sha256(path.read_bytes()).hexdigest() == told["sha256"]
    assert blobs.read(str(tmp_path), told["sha256"]) == b"large result"
    sink = JournalSink(str(tmp_path), "01")
    sink.write(line("01", "EXECUTION_START"))
    sink.write(line("01", "TASK_RESULT", n=0, blob=told))
    sink.close()
    work(tmp_path)
    index = next(at for at, text in lines_of(tmp_path) if told["sha256"].encode() in text)
    assert erase(str(tmp_path), [index], "why") == {"erased": [index], "blobs": 1, "segments": 0}
    with pytest.raises(NotFoundError):
        blobs.read(str(tmp_path), told["sha256"])
    assert blobs.names(str(tmp_path)) == {other["sha256"]}
    changed = tmp_path / "blobs" / other["sha256"]
    changed.write_bytes(changed.read_bytes() + b"x")
    with pytest.raises(IntegrityError):
        blobs.read(str(tmp_path), other["sha256"])
    for name in ("../state.json", "", "x" * 64):
        with pytest.raises(ValidationError):
            blobs.read(str(tmp_path), name)


@pytest.mark.parametrize("keep", [900, 700, 256, 100, 0])
def test_pruning_at_borders_of_any_segment(segmented, keep):
    before = dict(lines_of(segmented))
    size = len(before)
    border = (size - keep) // 256 * 256
    assert prune(str(segmented), keep=keep, dry_run=True)["minimum_index"] == border
    assert dict(lines_of(segmented)) == before
    told = prune(str(segmented), keep=keep)
    assert (told["minimum_index"], told["entries"]) == (border, border)
    after = dict(lines_of(segmented))
    assert min(after) == border
    assert {index: after[index] for index in range(border, size)} == {
        index: before[index] for index in range(border, size)
    }
    assert next(segments.entries(str(segmented)))[0] == border
    entries = entries_of(segmented, pruned=True)
    assert [entry["details"]["minimum_index"] for entry in entries if entry["event_type"] == "LOG_PRUNED"] == [border]
    assert prune(str(segmented), keep=len(after))["entries"] == 0
    write_run(segmented, "09", events=600)
    assert work(segmented) == ["09"]
    doomed = entries_of_run(str(segmented), "09")[-1:]
    assert erase(str(segmented), doomed, "why")["erased"] == doomed
    entries_of(segmented, pruned=True)
    verified(segmented)
    with pytest.raises(NotFoundError):
        erase(str(segmented), [border - 1], "why")


def test_pruning_by_age_stops_at_the_first_young_entry(tmp_path, monkeypatch):
    now = time.time_ns

    def write(run_id, days, events):
        monkeypatch.setattr(time, "time_ns", lambda: now() - days * 86400 * 10**9)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time_ns() // 10**9))
        sink = JournalSink(str(tmp_path), run_id)
        for number in range(events):
            text = line(run_id, "TASK_RESULT", n=number, msg='"timestamp":"2099-01-01T00:00:00.000Z"')
            sink.write(text.replace(b"2026-01-02T03:04:05.678Z", stamp.encode()))
        sink.close()
        work(tmp_path)
        monkeypatch.undo()

    write("01", 100, 600)
    write("02", 10, 600)
    write("03", 100, 600)  # the clock was set back: these are old by their timestamps, but stay
    assert prune(str(tmp_path), days=101)["minimum_index"] == 0
    assert prune(str(tmp_path), days=90)["minimum_index"] == 512
    assert prune(str(tmp_path), days=90)["entries"] == 0
    assert prune(str(tmp_path), days=5)["minimum_index"] == 1792
    assert {entry["run_id"] for entry in of_runs(tmp_path, pruned=True)} == {"03"}


def test_pruning_takes_the_blobs_along(tmp_path):
    told = blobs.write(str(tmp_path), b"old")
    kept = blobs.write(str(tmp_path), b"new")
    sink = JournalSink(str(tmp_path), "01")
    sink.write(line("01", "TASK_RESULT", blob=told))
    for number in range(300):
        sink.write(line("01", "TASK_RESULT", n=number))
    sink.write(line("01", "TASK_RESULT", blob=kept))
    sink.close()
    work(tmp_path)
    assert prune(str(tmp_path), keep=10)["blobs"] == 1
    assert blobs.names(str(tmp_path)) == {kept["sha256"]}


def test_nothing_is_pruned_that_no_checkpoint_covers(tmp_path):
    program = """
import sys
sys.modules["cryptography"] = None
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.prune import prune
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import DependencyError
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.integrator import integrate
integrate(sys.argv[1], lambda end: None)
try:
    prune(sys.argv[1], keep=1)
except DependencyError as error:
    print(error)
"""
    write_run(tmp_path, "01", events=600)
    found = subprocess.run([sys.executable, "-c", program, tmp_path], check=True, capture_output=True, text=True)
    assert "no signed checkpoint" in found.stdout
    assert len(lines_of(tmp_path)) == 602
    assert prune(str(tmp_path), keep=1)["minimum_index"] == 512


def test_a_pruned_log_with_a_damaged_tree_is_mended_from_what_is_left_of_it(segmented):
    prune(str(segmented), keep=300)
    (partial,) = (segmented / "tile" / "1").glob("*.p/*")
    partial.write_bytes(b"\0" + partial.read_bytes()[1:])
    for _time in range(2):
        work(segmented)
    verified(segmented)
    (repair,) = [
        entry["details"] for entry in entries_of(segmented, pruned=True) if entry["event_type"] == "LOG_REPAIRED"
    ]
    assert repair["same_root"]
    # Where even the hashes are gone nothing is thrown away, and the entries still come in.
    shutil.rmtree(segmented / "tile" / "0")
    shutil.rmtree(segmented / "damaged")
    told = []
    for number in range(2):
        write_run(segmented, f"8{number}")
        assert integrate(str(segmented), lambda _end: None, told.append) == [f"8{number}"]
    assert len(told) == 2
    assert "The hash of entry 0 is gone" in told[0]
    assert not (segmented / "damaged").exists()
    assert (segmented / "tile" / "1").exists()


def test_limits_of_pruning_must_be_said(tmp_path):
    for limits in ({}, {"days": 1, "keep": 1}, {"days": -1}, {"keep": -1}):
        with pytest.raises(ValidationError):
            prune(str(tmp_path), **limits)


@pytest.mark.parametrize(
    "change",
    [
        lambda path: erase(path, [2, 300, 560], "why"),
        lambda path: prune(path, keep=550),
        lambda path: prune(path, keep=20),
    ],
    ids=["erase", "prune closed", "prune active"],
)
def test_kill_at_any_file_operation_leaves_all_or_nothing(memory, change):
    template = memory / "template"
    template.mkdir()
    build(template, runs=3, segment_bytes=60000)  # closed: 0 to 511
    outcomes = set()
    for number in range(1, 1000):
        directory = memory / str(number)
        shutil.copytree(template, directory)
        killed = killed_at(number, lambda directory=directory: change(str(directory)))
        work(directory)
        entries = entries_of(directory, pruned=True)
        kinds = [entry["event_type"] for entry in entries]
        done = ("ENTRY_ERASED" in kinds) + ("LOG_PRUNED" in kinds)
        assert kinds.count("ERASED") == kinds.count("ENTRY_ERASED")
        assert kinds.count("ERASED") in (0, 3)
        first = lines_of(directory)[0][0]
        assert (first > 0) == ("LOG_PRUNED" in kinds)
        assert [name for name in os.listdir(directory) if name.startswith(".audit")] == []
        assert [entry for entry in entries if entry["event_type"] == "LOG_REPAIRED" and entry["details"]["kept"]] == []
        outcomes.add(done)
        if number % 5 == 0:
            verified(directory)
        shutil.rmtree(directory)
        if not killed:
            break
    assert outcomes == {0, 1}
    assert number > 30


def test_power_loss_at_any_file_operation_leaves_all_or_nothing(memory):
    origin, images = memory / "origin", memory / "images"
    origin.mkdir()
    build(origin, runs=3, segment_bytes=60000)

    def change():
        erase(str(origin), [300, 400, 700], "why")
        prune(str(origin), keep=550)

    before = len(lines_of(origin))
    for name in with_power_losses(origin, images, change, outcomes=OUTCOMES[:2]):
        directory = images / name
        work(directory)
        kinds = [entry["event_type"] for entry in entries_of(directory, pruned=True)]
        assert kinds.count("ERASED") == kinds.count("ENTRY_ERASED"), name
        assert kinds.count("ERASED") in (0, 3), name
        first, last = lines_of(directory)[0][0], lines_of(directory)[-1][0]
        assert first == (256 if "LOG_PRUNED" in kinds else 0), name
        assert last >= before - 1, name
