# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil

import pytest
from audit_store import entries_of, journals, killed_at, lines_of, of_runs, runs_of

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.record.canonical import encode
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store import blobs
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.erase import entries_of_run, erase
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.imports import import_journals
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.integrator import integrate
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.journal import JournalSink
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import (
    ConflictError,
    IntegrityError,
    NotFoundError,
    ToolkitError,
    UnsafeError,
)


def canonical(run_id, event_type, **details):
    return encode(
        {
            "command_line": "ansible-playbook site.yml",
            "details": details,
            "event_type": event_type,
            "hostname": "container",
            "pid": 1,
            "ppid": 0,
            "run_id": run_id,
            "salt": os.urandom(16).hex(),
            "script": "/site.yml",
            "timestamp": "2026-01-02T03:04:05.678Z",
            "uid": 0,
            "user": "root",
            "working_directory": "/",
        }
    )


def run_lines(run_id, events=3):
    lines = [canonical(run_id, "EXECUTION_START")]
    lines += [canonical(run_id, "TASK_RESULT", n=number) for number in range(events)]
    return [*lines, canonical(run_id, "EXECUTION_END", status="success")]


def text_of(lines):
    return b"".join(line + b"\n" for line in lines)


@pytest.fixture
def here(tmp_path):
    """A log with a run of its own."""
    directory = tmp_path / "here"
    sink = JournalSink(str(directory), "01")
    for line in run_lines("01"):
        sink.write(line + b"\n")
    sink.close()
    integrate(str(directory), lambda _end: None)
    return directory


def bring(here, *paths, **kwargs):
    return import_journals(str(here), [str(path) for path in paths], **kwargs)


def imports_in(here):
    return [entry["details"] for entry in entries_of(here) if entry["event_type"] == "JOURNAL_IMPORTED"]


@pytest.mark.parametrize("packed", [False, True])
def test_a_journal_is_imported_once_with_its_digest(here, tmp_path, packed):
    data = text_of(run_lines("77")) + b'{"torn'
    source = tmp_path / ("77.jsonl.gz" if packed else "77.jsonl")
    source.write_bytes(gzip.compress(data) if packed else data)
    (told,) = bring(here, source)
    assert (told["entries"], told["known"], told["runs"], told["torn_bytes"]) == (5, 0, 1, 6)
    (recorded,) = imports_in(here)
    assert recorded == told
    assert told["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert runs_of(here) == ["01", "77"]
    lines = dict(lines_of(here))
    assert [lines[told["first"] + at] for at in range(5)] == data.splitlines()[:5]
    size = len(lines)
    (again,) = bring(here, source)
    assert (again["entries"], again["known"]) == (0, 5)
    assert len(lines_of(here)) == size


def test_a_journal_that_grew_adds_the_rest_and_an_older_copy_nothing(here, tmp_path):
    lines = run_lines("77", events=20)
    source = tmp_path / "77.jsonl"
    for count, added in ((4, 4), (15, 11), (10, 0), (22, 7), (22, 0)):
        source.write_bytes(text_of(lines[:count]))
        (told,) = bring(here, source)
        assert told["entries"] == added
    assert runs_of(here) == ["01", "77"]


def test_a_whole_log_directory_of_another_machine(here, tmp_path):
    other = tmp_path / "other"
    (other / "journal").mkdir(parents=True)
    (other / "settings.json").write_text('{"segment_bytes": 30000}')
    told = blobs.write(str(other), b"large")
    sink = JournalSink(str(other), "50")
    for line in [*run_lines("50", events=300)[:-1], canonical("50", "TASK_RESULT", n=300, blob=told)]:
        sink.write(line + b"\n")
    sink.close()
    integrate(str(other), lambda _end: None)
    (other / "journal" / "51.jsonl").write_bytes(text_of(run_lines("51")[:3]))
    own = sum(entry["run_id"] == "" for entry in entries_of(other))
    results = bring(here, other)
    assert sum(each["entries"] for each in results) == 303 + 3
    assert sum(each["own_events"] for each in results) == own > 1
    assert blobs.read(str(here), told["sha256"]) == b"large"
    assert len(of_runs(here)) == 5 + 303 + 3
    integrate(str(here), lambda _end: None)
    size = len(lines_of(here))
    assert sum(each["entries"] for each in bring(here, other)) == 0
    assert len(lines_of(here)) == size


def changed(line, **parts):
    return encode({**json.loads(line), **parts})


GOOD = canonical("66", "TASK_RESULT", n=1)
DAMAGED = {
    "no JSON": b"{",
    "empty": b"",
    "a list": b"[]",
    "not canonical": GOOD.replace(b'":"', b'": "', 1),
    "a key twice": GOOD.replace(b'"details"', b'"command_line":"x","details"', 1),
    "an escape that is not needed": GOOD.replace(b"container", b"\\u0063ontainer"),
    "no UTF-8": GOOD.replace(b"container", b"\xff"),
    "a float": GOOD.replace(b'"pid":1', b'"pid":1.5'),
    "too long": changed(GOOD, details={"msg": "x" * 70000}),
    "deep": GOOD.replace(b'"n":1', b'"n":' + b"[" * 20000 + b"]" * 20000),
    "a path for a run": changed(GOOD, run_id="../../etc"),
    "no run": changed(GOOD, run_id=""),
    "a number for a run": changed(GOOD, run_id=5),
    "lower case": changed(GOOD, event_type="task_result"),
    "another time": changed(GOOD, timestamp="yesterday"),
    "no salt": changed(GOOD, salt=""),
    "details are text": changed(GOOD, details="x"),
    "no host": changed(GOOD, hostname=None),
    "zero bytes": b"\0" * 100,
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_what_is_no_record_is_refused_as_a_whole_or_left_out(here, tmp_path, kind):
    source = tmp_path / "66.jsonl"
    source.write_bytes(text_of([GOOD, DAMAGED[kind], canonical("66", "TASK_RESULT", n=2)]))
    before = lines_of(here)
    with pytest.raises(IntegrityError, match=r"Line 2 of .*66\.jsonl is no record"):
        bring(here, source)
    assert lines_of(here) == before
    (told,) = bring(here, source, skip_damaged=True)
    assert (told["entries"], told["damaged"]) == (2, 1)
    assert len(of_runs(here)) == 7


def test_records_of_a_log_about_itself_are_left_out(here, tmp_path):
    source = tmp_path / "66.jsonl"
    kinds = ("SEGMENT_CLOSED", "ENTRY_ERASED", "LOG_PRUNED", "KEY_ADDED", "LOG_REPAIRED", "LOST", "JOURNAL_IMPORTED")
    forged = [canonical("66", kind, first=0, index=0, minimum_index=512) for kind in kinds]
    source.write_bytes(text_of([GOOD, *forged, b'{"erased":"00","event_type":"ERASED","index":0}']))
    (told,) = bring(here, source)
    assert (told["entries"], told["own_events"]) == (1, len(kinds) + 1)


def test_nobody_slips_events_into_a_run_of_this_log(here, tmp_path):
    source = tmp_path / "01.jsonl"
    source.write_bytes(text_of(run_lines("01", events=9)))
    before = lines_of(here)
    with pytest.raises(ConflictError, match="with other entries"):
        bring(here, source)
    assert lines_of(here) == before


def test_what_was_erased_does_not_come_back(here, tmp_path):
    source = tmp_path / "77.jsonl"
    source.write_bytes(text_of(run_lines("77")))
    bring(here, source)
    doomed = entries_of_run(str(here), "77")
    erase(str(here), doomed[1:2], "why")
    with pytest.raises(ConflictError):
        bring(here, source)


def test_only_files_that_are_files_and_elsewhere(here, tmp_path):
    source = tmp_path / "77.jsonl"
    source.write_bytes(text_of(run_lines("77")))
    (tmp_path / "link.jsonl").symlink_to(source)
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "empty").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    for path, error in (
        ("link.jsonl", UnsafeError),
        ("pipe.jsonl", UnsafeError),
        ("missing", NotFoundError),
        ("empty", NotFoundError),
        ("here/audit.jsonl", UnsafeError),
        ("here", UnsafeError),
        ("loop", ToolkitError),
    ):
        with pytest.raises(error):
            bring(here, tmp_path / path)
    assert imports_in(here) == []
    assert journals(here) == []


def test_a_bomb_and_an_endless_line_end_early(here, tmp_path):
    bomb = tmp_path / "bomb.jsonl.gz"
    bomb.write_bytes(gzip.compress(b"x" * 50_000_000))
    with pytest.raises(IntegrityError, match="a line of more than"):
        bring(here, bomb)
    bomb.write_bytes(gzip.compress(text_of(run_lines("77")))[:-5])
    with pytest.raises(IntegrityError, match="ends too early"):
        bring(here, bomb)
    assert imports_in(here) == []
    assert not [name for name in os.listdir(here) if name.startswith(".import")]
    shutil.rmtree(here / "journal")
    assert len(of_runs(here)) == 5


def test_a_killed_import_is_done_again_from_its_source(here, tmp_path):
    source = tmp_path / "77.jsonl"
    source.write_bytes(text_of(run_lines("77", events=50)))
    whole = set()
    for number in range(1, 1000):
        directory = tmp_path / str(number)
        shutil.copytree(here, directory)
        killed = killed_at(number, lambda directory=directory: bring(directory, source))
        (told,) = bring(directory, source)
        assert told["entries"] in (0, 52), number
        assert runs_of(directory) == ["01", "77"], number
        whole.add(told["entries"])
        if not killed:
            break
    assert whole == {0, 52}
    assert number > 30


def test_a_journal_is_imported_before_there_is_a_log(tmp_path):
    source = tmp_path / "77.jsonl"
    source.write_bytes(text_of(run_lines("77")))
    (told,) = bring(tmp_path / "new", source)
    assert told["entries"] == 5
    assert runs_of(tmp_path / "new") == ["77"]
