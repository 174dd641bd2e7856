# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import gzip
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from audit_store import (
    entries_of,
    in_child,
    journals,
    leaf_tiles,
    lines_of,
    of_runs,
    repairs,
    runs_of,
    tree_root,
    verified,
    waited,
    write_run,
)

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.verify import verify
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store import segments
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.integrator import integrate
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.log import Log
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import IntegrityError, TimeoutExpired

# Ansible's own imports may have started threads; the children here only make system calls and die.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def work(directory):
    return integrate(str(directory), lambda _end: None)


@pytest.fixture
def segmented(tmp_path):
    """A log of several closed segments."""
    (tmp_path / "settings.json").write_text('{"segment_bytes": 30000}')
    for number in range(5):
        write_run(tmp_path, f"{number:02}", events=300)
        work(tmp_path)
    return tmp_path


def test_segments_close_at_borders_and_are_reproducible(segmented):
    runs = runs_of(segmented)
    verified(segmented)
    assert runs == ["00", "01", "02", "03", "04"]
    found = segments.ranges(str(segmented))
    assert len(found) == 6
    assert [each.active for each in found] == [False] * 5 + [True]
    for each in found[:-1]:
        assert each.first % 256 == 0
        writer = segments.SegmentWriter(str(segmented / "again.jsonl.gz"), 1)
        writer.write(gzip.decompress(Path(each.path).read_bytes()).splitlines())
        told = writer.close()
        assert told == segments.hash_segment(each.path)
        assert Path(each.path).read_bytes() == (segmented / ".again.jsonl.gz.1").read_bytes()


def test_reading_begins_and_ends_anywhere(segmented):
    everything = lines_of(segmented)
    assert list(segments.entries(str(segmented))) == everything
    last = len(everything)
    for start, stop in ((0, 0), (255, 257), (256, 256), (500, 1100), (last - 1, None), (last, None), (last + 5, None)):
        assert list(segments.entries(str(segmented), start, stop)) == everything[start:stop]


def test_a_reader_is_not_disturbed_by_what_is_appended_closed_and_replaced(segmented):
    before = lines_of(segmented)
    reader = segments.entries(str(segmented))
    seen = [next(reader) for _number in range(700)]
    write_run(segmented, "05", events=900)
    work(segmented)
    assert [*seen, *reader][: len(before)] == before


def test_missing_and_broken_segments_are_named(segmented):
    found = segments.ranges(str(segmented))
    everything = lines_of(segmented)
    os.unlink(found[2].path)
    with pytest.raises(IntegrityError, match=f"entries {found[2].first} to {found[2].stop - 1} of the log are missing"):
        list(segments.entries(str(segmented)))
    gaps = []
    read = list(segments.entries(str(segmented), on_gap=lambda *gap: gaps.append(gap)))
    assert gaps == [(found[2].first, found[2].stop)]
    assert read == everything[: found[2].first] + everything[found[2].stop :]
    for broken in (b"", b"x" * 100, Path(found[1].path).read_bytes()[:-9], Path(found[1].path).read_bytes() + b"x"):
        Path(found[1].path).write_bytes(broken)
        with pytest.raises(IntegrityError, match=os.path.basename(found[1].path)):
            list(segments.entries(str(segmented)))


def test_a_log_of_the_first_version_is_taken_in(tmp_path):
    write_run(tmp_path, "00")
    lines = (tmp_path / "journal" / "00.jsonl").read_bytes()
    os.unlink(tmp_path / "journal" / "00.jsonl")
    write_run(tmp_path, "01")  # begun to be appended when its integrator died
    begun = (tmp_path / "journal" / "01.jsonl").read_bytes()
    (tmp_path / "audit.jsonl").write_bytes(lines + begun[:-150])
    (tmp_path / "integrator.intent").write_text(json.dumps({"run_id": "01", "log_size": len(lines)}))
    assert list(segments.entries(str(tmp_path)))[:5] == list(enumerate(lines.splitlines()))
    assert work(tmp_path) == ["01"]
    assert runs_of(tmp_path) == ["00", "01"]
    assert [repair["repair"] for repair in repairs(tmp_path)] == ["adopted", "tail"]
    assert [repair["kept"] for repair in repairs(tmp_path)] == [[], []]
    assert not (tmp_path / "integrator.intent").exists()


@pytest.mark.parametrize("damage", ["missing", "no JSON", "other version", "negative"])
def test_a_lost_state_is_found_again_from_segments_and_journals(segmented, damage):
    before = lines_of(segmented)
    state = json.loads((segmented / "state.json").read_bytes())
    if damage == "missing":
        os.unlink(segmented / "state.json")
    else:
        broken = {"no JSON": "{", "other version": '{"version": 9}', "negative": json.dumps({**state, "bytes": -1})}
        (segmented / "state.json").write_text(broken[damage])
    write_run(segmented, "05")
    assert work(segmented) == ["05"]
    assert lines_of(segmented)[: len(before)] == before
    assert runs_of(segmented) == ["00", "01", "02", "03", "04", "05"]
    assert [repair["repair"] for repair in repairs(segmented)] == ["state"]
    verified(segmented)


def test_bytes_that_nobody_knows_are_kept_aside_and_recorded(segmented):
    before = lines_of(segmented)
    with open(segmented / "audit.jsonl", "ab") as handle:
        handle.write(b'{"event_type":"TASK_RESULT","run_id":"99"}\ntorn')
    work(segmented)
    (repair,) = repairs(segmented)
    assert (repair["repair"], repair["bytes"]) == ("tail", 47)
    assert (segmented / repair["kept"][0]).read_bytes() == b'{"event_type":"TASK_RESULT","run_id":"99"}\ntorn'
    assert lines_of(segmented)[: len(before)] == before


def test_a_log_that_became_shorter_keeps_its_indexes_and_its_tree(segmented):
    before = lines_of(segmented)
    path = segmented / "audit.jsonl"
    first = json.loads((segmented / "state.json").read_bytes())["first"]
    kept = path.read_bytes().splitlines(keepends=True)[:20]
    path.write_bytes(b"".join(kept) + b'{"torn')
    write_run(segmented, "05")
    assert work(segmented) == ["05"]
    lines = lines_of(segmented)
    assert lines[: first + 20] == before[: first + 20]
    lost = [json.loads(line) for _index, line in lines[first + 20 : len(before)]]
    assert lost == [{"event_type": "LOST", "index": index} for index in range(first + 20, len(before))]
    entries = [json.loads(line) for _index, line in lines]
    (repair,) = [entry["details"] for entry in entries if entry["event_type"] == "LOG_REPAIRED"]
    assert (repair["repair"], repair["first"], repair["entries"]) == ("lost", first + 20, len(lost))
    report = verify(str(segmented))
    found = [(finding.kind, finding.index) for finding in report.findings]
    assert found == [("segment", 1024), ("entry", first + 20)]  # among the lost ones was the record of the last segment
    # The tree has the hashes of the lost lines still: putting them back makes everything right.
    path.write_bytes(b"".join(kept) + b"".join(line + b"\n" for _index, line in before[first + 20 :]))
    with open(path, "ab") as handle:
        handle.write(b"".join(line + b"\n" for _index, line in lines[len(before) :]))
    state = json.loads((segmented / "state.json").read_bytes())
    (segmented / "state.json").write_text(json.dumps({**state, "bytes": path.stat().st_size}))
    assert runs_of(segmented) == ["00", "01", "02", "03", "04", "05"]


@pytest.mark.parametrize("damage", ["no checkpoint", "bad checkpoint", "no tiles", "flipped tile", "short tile"])
def test_a_damaged_tree_is_built_anew_and_has_the_same_root(segmented, damage):
    root = (segmented / "checkpoint").read_text().split("\n")[2]
    size = len(lines_of(segmented))
    (partial,) = (segmented / "tile" / "0").glob("*.p/*")
    if damage == "no checkpoint":
        os.unlink(segmented / "checkpoint")
    elif damage == "bad checkpoint":
        text = (segmented / "checkpoint").read_bytes()
        (segmented / "checkpoint").write_bytes(text.replace(b"\n%d\n" % size, b"\n%d\n" % (size - 1)))
    elif damage == "no tiles":
        shutil.rmtree(segmented / "tile")
    elif damage == "flipped tile":
        partial.write_bytes(b"\0" + partial.read_bytes()[1:])
    else:
        partial.write_bytes(partial.read_bytes()[:-1])
    work(segmented)
    (repair,) = repairs(segmented)
    assert repair["repair"] == "tree"
    assert len(repair["kept"]) == (1 if damage in ("no checkpoint", "no tiles") else 2)
    assert repair.get("same_root", True)
    assert tree_root(leaf_tiles(segmented)[:size]) == base64.b64decode(root)
    assert len(lines_of(segmented)) == size + 1
    verified(segmented)


def test_without_cryptography_the_log_is_kept_and_signed_later(tmp_path):
    program = """
import sys
sys.modules["cryptography"] = None
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.integrator import integrate
told = []
assert integrate(sys.argv[1], lambda end: None, told.append) == ["01", "02"]
print(len(told), told[0])
"""
    write_run(tmp_path, "01")
    write_run(tmp_path, "02")
    found = subprocess.run([sys.executable, "-c", program, tmp_path], check=True, capture_output=True, text=True)
    assert found.stdout.startswith("1 The log is kept without a signed checkpoint: ")
    assert len(lines_of(tmp_path)) == 10
    assert not (tmp_path / "checkpoint").exists()
    work(tmp_path)
    assert runs_of(tmp_path) == ["01", "02"]


def test_a_full_disk_takes_nothing_and_loses_nothing(tmp_path):
    """The limit of the file size makes every write beyond it fail, at each length of the log in turn."""
    write_run(tmp_path, "00", events=30)
    work(tmp_path)
    before = (tmp_path / "audit.jsonl").read_bytes()
    write_run(tmp_path, "01", events=30)

    def limited(extra):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + extra, resource.RLIM_INFINITY))
        try:
            work(tmp_path)
        except OSError:
            os._exit(3)

    for extra in (0, 10, 1000, 3000):
        assert waited(in_child(lambda extra=extra: limited(extra))) == 3
        assert (tmp_path / "audit.jsonl").read_bytes() == before
        assert journals(tmp_path) == ["01.jsonl"]
    assert work(tmp_path) == ["01"]
    assert runs_of(tmp_path) == ["00", "01"]
    assert repairs(tmp_path) == []


def test_who_waits_for_the_log_is_told_who_has_it(tmp_path):
    ready, done = os.pipe(), os.pipe()

    def hold():
        with Log.wait(str(tmp_path)):
            os.write(ready[1], b".")
            os.read(done[0], 1)

    pid = in_child(hold)
    os.read(ready[0], 1)
    with pytest.raises(TimeoutExpired, match=f"held by process {pid}"):
        Log.wait(str(tmp_path), 0.1)
    os.write(done[1], b".")
    assert waited(pid) == 0
    with Log.wait(str(tmp_path)) as log:
        assert Log.attempt(str(tmp_path)) is None  # nor twice in one process
        log.append_event("LOG_REPAIRED", {"repair": "test"})
    assert entries_of(tmp_path)[-1]["details"] == {"repair": "test"}
    assert of_runs(tmp_path) == []


def test_a_worker_that_was_forked_while_the_log_was_held_does_not_keep_it(tmp_path):
    done = os.pipe()
    with Log.wait(str(tmp_path)):
        worker = in_child(lambda: os.read(done[0], 1))
    assert waited(in_child(lambda: Log.wait(str(tmp_path), 0).close())) == 0
    os.write(done[1], b".")
    waited(worker)


@pytest.fixture
def small_disk():
    """A file system of 600 KB in memory."""
    path = Path(tempfile.mkdtemp(prefix="audit-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", path], check=True)
    yield path
    subprocess.run(["umount", path], check=True)
    path.rmdir()


def test_a_really_full_and_a_read_only_file_system(small_disk):
    write_run(small_disk, "00", events=300)
    work(small_disk)
    write_run(small_disk, "01", events=1000)
    space = os.statvfs(small_disk)
    with open(small_disk / "ballast", "wb") as handle:
        handle.write(b"x" * (space.f_bavail * space.f_frsize - 40_000))
    before = (small_disk / "audit.jsonl").read_bytes()
    with pytest.raises(OSError, match="No space left"):
        work(small_disk)
    assert (small_disk / "audit.jsonl").read_bytes() == before
    os.unlink(small_disk / "ballast")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(OSError, match="Read-only"):
        work(small_disk)
    assert len(list(segments.entries(str(small_disk)))) == len(lines_of(small_disk))
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    assert work(small_disk) == ["01"]
    assert runs_of(small_disk) == ["00", "01"]
