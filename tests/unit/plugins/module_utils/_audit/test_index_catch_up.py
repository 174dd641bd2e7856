# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The index has every entry once, whatever happens to the log, to itself or to whoever brings it up to date."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from index_trail import Trail, at, salts

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.index import catch_up as catch_up_module
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.index.catch_up import catch_up
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.index.index import Index
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.index.rows import (
    RowMaker,
    record_of,
    row_id,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.index.source import Source
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.index.sqlite import SqliteStore
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.query import Filters
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.erase import erase
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.prune import prune
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import NotFoundError


def by_salt(record):
    return record["salt"]


@pytest.fixture
def trail(tmp_path: Path) -> Trail:
    return Trail(tmp_path)


def test_log_and_living_journals_are_found_in_full(trail):
    trail.run({"host": "web1", "msg": "done"}, {"host": "web2", "status": "failed"})
    living = trail.start(user="bob")
    living.task(host="web3", status="changed", path="/etc/motd")
    found = trail.found()
    assert sum(1 for entry in found if entry["index"] is None) == 2
    assert sorted(found, key=by_salt) == sorted(trail.everything(), key=by_salt)
    living.end()
    trail.integrate()
    assert trail.found() == trail.log()


def test_a_second_look_reads_nothing_again(trail):
    trail.run(*({"host": f"web{number}"} for number in range(50)))
    with trail.index() as index:
        statements = []
        index.store.database.set_trace_callback(statements.append)
        assert index.catch_up() == 0
    assert not [text for text in statements if text.startswith(("INSERT", "DELETE", "UPDATE"))]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("start"), st.integers(0, 3)),
        st.tuples(st.just("write"), st.integers(0, 3)),
        st.tuples(st.just("take in"), st.integers(0, 3)),
        st.tuples(st.just("end"), st.integers(0, 3)),
        st.tuples(st.just("kill"), st.integers(0, 3)),
        st.sampled_from([("integrate", 0), ("index", 0), ("index", 1), ("lose", 0), ("damage", 0)]),
    ),
    max_size=25,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_whatever_happens_every_entry_is_there_once(tmp_path, steps):
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    trail, runs = Trail(tmp_path), {}
    for step, number in steps:
        if step == "start" and number not in runs:
            runs[number] = trail.start(user=f"user{number}")
        elif step == "write" and number in runs:
            runs[number].task(host=f"web{number}")
        elif step == "take in" and number in runs:
            trail.integrate(runs[number].run_id)
        elif step == "end" and number in runs:
            runs.pop(number).end()
        elif step == "kill" and number in runs:
            runs.pop(number).abandon()
        elif step == "integrate":
            trail.integrate()
        elif step == "index":
            assert salts(trail.found()) == salts(trail.everything())
        elif step == "lose":
            for path in tmp_path.glob("index.sqlite*"):
                path.unlink()
        elif step == "damage" and (tmp_path / "index.sqlite").exists():
            (tmp_path / "index.sqlite").write_bytes(b"no database" * 1000)
    for run in runs.values():
        run.abandon()
    everything = trail.everything()
    found = trail.found()
    assert salts(found) == salts(everything)
    positions = [entry["index"] for entry in found if entry["index"] is not None]
    assert sorted(positions) == list(range(len(positions)))
    assert len(positions) == len(trail.log())


class Killed(BaseException):
    pass


@pytest.mark.parametrize("death", range(14))
def test_dying_between_any_two_steps_loses_and_doubles_nothing(trail, monkeypatch, death):
    """The store is left as kill -9 leaves it: the transaction that was open never happened."""
    monkeypatch.setattr(catch_up_module, "BATCH", 4)
    trail.run(*({"host": f"web{number}"} for number in range(9)))
    living = trail.start()
    living.task(host="db1")
    calls = 0

    class Mortal(SqliteStore):
        def insert(self, rows):
            self._live()
            super().insert(rows)
            self._live()

        def set_reached(self, reached):
            self._live()
            super().set_reached(reached)
            self._live()

        def _live(self):
            nonlocal calls
            calls += 1
            if calls > death:
                raise Killed

    store = Mortal(str(trail.directory / "index.sqlite"))
    with pytest.raises(Killed):
        catch_up(store, Source(str(trail.directory)))
    store.close()
    living.task(host="db2")
    trail.integrate(living.run_id)
    living.task(host="db3")
    assert salts(trail.found()) == salts(trail.everything())
    living.end()


def test_several_processes_may_bring_it_up_to_date_together(trail):
    trail.run(*({"host": f"web{number}"} for number in range(100)))
    living = trail.start()
    for number in range(30):
        living.task(host=f"db{number}")
    program = [
        "import sys",
        "from ansible_collections.scripts.toolkit.plugins.module_utils._audit.search.index import catch_up, index",
        "catch_up.BATCH = 7",
        "index.Index(sys.argv[1]).catch_up()",
    ]
    command = [sys.executable, "-c", "\n".join(program), str(trail.directory)]
    processes = [subprocess.Popen(command) for _number in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert salts(trail.found()) == salts(trail.everything())
    living.end()


def test_no_more_than_a_batch_is_held(trail, monkeypatch):
    monkeypatch.setattr(catch_up_module, "BATCH", 10)
    trail.run(*({"host": f"web{number}"} for number in range(95)))
    sizes = []

    class Watched(SqliteStore):
        def insert(self, rows):
            sizes.append(len(rows))
            super().insert(rows)

    store = Watched(str(trail.directory / "index.sqlite"))
    told = []
    assert catch_up(store, Source(str(trail.directory)), lambda done, total: told.append((done, total))) == 98
    store.close()
    assert sizes == [10] * 9 + [8]
    assert told[0] == (10, 98)
    assert told[-1] == (98, 98)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: b"\xff" * len(data),
        lambda data: data[:4096] + os.urandom(len(data) - 4096),
        lambda data: b"some text\n",
    ],
    ids=["empty", "short", "overwritten", "half", "another file"],
)
def test_a_damaged_index_is_built_anew(trail, spoil):
    trail.run(*({"host": f"web{number}", "msg": f"message {number}"} for number in range(200)))
    trail.found()
    path = trail.directory / "index.sqlite"
    path.write_bytes(spoil(path.read_bytes()))
    assert trail.found() == trail.log()
    assert len(trail.found(text="message 77")) == 1


def test_an_index_of_another_version_is_built_anew(trail):
    trail.run({"host": "web1"})
    trail.found()
    database = sqlite3.connect(trail.directory / "index.sqlite")
    database.execute("PRAGMA user_version=99")
    database.execute("DROP TABLE context")
    database.close()
    assert trail.found() == trail.log()


def test_damage_that_shows_only_during_a_search_is_mended(trail):
    trail.run({"host": "web1"})
    with trail.index() as index:
        index.store.database.execute("DROP TABLE word")
        assert index.count(Filters({"host": ("web1",)})) == 1
        assert index.warnings == ["The index was damaged and has been built anew."]


def test_a_log_that_was_replaced_is_indexed_anew(trail, tmp_path):
    trail.run({"host": "web1"}, {"host": "web2"})
    trail.found()
    other = Trail(tmp_path / "other")
    other.run({"host": "db1"}, {"host": "db2"}, {"host": "db3"})
    for path in trail.directory.glob("*"):
        if not path.name.startswith(("index.sqlite", "other")):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(other.directory, trail.directory, dirs_exist_ok=True)
    assert trail.found() == other.log()


def test_entries_of_one_millisecond_keep_their_order(trail, monkeypatch):
    at(monkeypatch, 1_700_000_000_000)
    trail.run(*({"host": f"web{number}"} for number in range(30)))
    living = trail.start()
    for number in range(30):
        living.task(host=f"db{number}")
    found = trail.found()
    own = {"KEY_ADDED"}
    assert [entry["index"] for entry in found if entry["index"] is not None and entry["event_type"] not in own] == list(
        range(1, 33)
    )
    assert salts(found) == salts(trail.everything())
    assert {entry["timestamp"] for entry in found if entry["event_type"] not in own} == {"2023-11-14T22:13:20.000Z"}
    living.end()
    trail.integrate()
    assert trail.found() == trail.log()


STRANGE = [
    b"no json",
    b"[]",
    b'{"event_type":7,"run_id":"x"}',
    b'{"event_type":"TASK_RESULT","run_id":"a","details":"text","timestamp":"yesterday","salt":5}',
    b'{"event_type":"X","run_id":"a\\u0000","details":{"host":"\\u0000","msg":"\\ud800 half"},"timestamp":"9999"}',
    b'{"event_type":"X","run_id":"b","details":{"host":["list"],"deep":[[["x"]]]},"timestamp":"2026-01-02T03:04:05+02:00"}',
    b'{"event_type":"X","run_id":"c","timestamp":"1931-01-01T00:00:00.000Z","more":[1,{"a":null}]}',
    b"[" * 100_000,
]


def test_strange_lines_are_found_like_all_others(tmp_path):
    (tmp_path / "audit.jsonl").write_bytes(b"\n".join(STRANGE) + b"\n")
    trail = Trail(tmp_path)
    found = trail.found()
    assert sorted(entry["index"] for entry in found) == list(range(len(STRANGE)))
    assert {entry["index"] for entry in found if entry["event_type"] == "UNREADABLE"} == {0, 1, 2, 7}
    assert next(entry for entry in found if entry["index"] == 6)["timestamp"] == "1931-01-01T00:00:00.000Z"
    assert [entry["index"] for entry in trail.found(text="half")] == [4]


TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=20)


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(["host", "msg", "item", "n"]), TEXT | st.integers() | st.lists(TEXT)), TEXT)
def test_a_row_gives_its_record_back(details, user):
    record = {"details": details, "event_type": "TASK_RESULT", "run_id": "r", "salt": "00ff", "script": "s.yml",
              "timestamp": "2026-01-02T03:04:05.678Z", "user": user}  # fmt: skip
    row = RowMaker().row(json.dumps(record).encode(), 5)
    assert record_of(row_id(row.milliseconds, 5), "TASK_RESULT", row.context, row.details, row.salt) == record


def test_without_a_trail_it_says_so(tmp_path):
    with pytest.raises(NotFoundError):
        Index(str(tmp_path / "nothing"))


def test_its_files_are_private(trail):
    trail.run({"host": "web1"})
    with trail.index():
        files = list(trail.directory.glob("index.sqlite*"))
        assert len(files) == 4
        assert {os.stat(path).st_mode & 0o777 for path in files} == {0o600}


def canaries(directory):
    """Return the files of the index in which the word of the erased entries still is."""
    return [path.name for path in directory.glob("index.sqlite*") if b"canary" in path.read_bytes().lower()]


@pytest.fixture
def marked(trail):
    """A trail with three entries that are to go, among 600, in an index that has merged and freed pages."""
    for number in range(3):
        trail.run(*({"host": f"web{n % 9}", "msg": f"message {n} of many words"} for n in range(200)))
        trail.run({"host": f"canary{number}", "msg": f"canary-message {number}", "path": f"/home/canary{number}"},
                  user=f"canary{number}", script=f"/srv/canary{number}.yml")  # fmt: skip
        trail.found()
    return trail


def test_erased_entries_leave_no_trace_in_the_index(marked):
    gone = [entry["index"] for entry in marked.log() if "canary" in json.dumps(entry)]
    assert len(gone) == 9
    assert len(marked.found(text="canary*")) == 9
    assert canaries(marked.directory) == ["index.sqlite"]
    erase(str(marked.directory), gone, "a test")
    found = marked.found()
    assert found == marked.log()
    assert not {entry["index"] for entry in found} & set(gone)
    assert marked.found(text="canary*") == marked.found(host="canary*") == []
    assert canaries(marked.directory) == []
    (marked.directory / "index.sqlite").unlink()
    assert marked.found() == found


def test_pruned_entries_leave_no_trace_in_the_index(trail, monkeypatch):
    clock = at(monkeypatch, 1_700_000_000_000)
    for number in range(6):
        clock.milliseconds += 86_400_000
        trail.run(*({"host": f"canary{number}" if number < 3 else "web1", "msg": f"message {n}"} for n in range(300)))
        trail.found()
    assert prune(str(trail.directory), keep=600)["entries"] >= 900
    found = trail.found()
    assert found == trail.log()
    assert found[0]["index"] >= 900
    assert canaries(trail.directory) == []
    assert trail.found(text="message 7", host="canary0") == []


def test_nobody_erases_from_the_index_by_claiming_it(trail):
    run = trail.start()
    run.task(host="web1", msg="still there")
    run.event("ENTRY_ERASED", index=2, leaf_hash="00")
    run.event("LOG_PRUNED", minimum_index=1000)
    run.end()
    trail.integrate()
    assert len(trail.found(text="still there")) == 1
    assert trail.found() == trail.log()


def test_closed_segments_and_the_active_one_are_indexed_step_by_step(trail, monkeypatch):
    monkeypatch.setattr(catch_up_module, "BATCH", 100)
    trail.directory.mkdir(exist_ok=True)
    (trail.directory / "settings.json").write_text(json.dumps({"segment_bytes": 20_000}))
    for number in range(5):
        trail.run(*({"host": f"web{n}", "msg": f"run {number} message {n}"} for n in range(130)))
        assert trail.found() == trail.log()
    assert len(list((trail.directory / "segments").iterdir())) >= 2
    erase(str(trail.directory), [5, 300], "a test")
    assert trail.found() == trail.log()
    (trail.directory / "index.sqlite").unlink()
    assert trail.found() == trail.log()


def test_a_segment_that_is_gone_or_broken_hides_no_other_entry(trail):
    trail.directory.mkdir(exist_ok=True)
    (trail.directory / "settings.json").write_text(json.dumps({"segment_bytes": 20_000}))
    for _number in range(4):
        trail.run(*({"host": f"web{n}", "msg": "some words"} for n in range(150)))
    first, second = sorted((trail.directory / "segments").iterdir())[:2]
    expected = [entry["index"] for entry in trail.log() if entry["index"] >= int(second.name[:20])]
    first.rename(trail.directory / "away")
    with trail.index() as index:
        assert "are missing" in index.warnings[0]
        assert sorted(entry["index"] for entry in index.each(Filters())) == sorted(expected)
    (trail.directory / "index.sqlite").unlink()
    (trail.directory / "away").rename(first)
    whole = trail.log()
    lines_of_segment = gzip.decompress(second.read_bytes()).splitlines()
    second.write_bytes(b"no gzip")
    with trail.index() as index:
        assert "The index is incomplete" in index.warnings[0]
        assert second.name in index.warnings[0]
        third = len(lines_of_segment) + int(second.name[:20])
        expected = [entry["index"] for entry in whole if not int(second.name[:20]) <= entry["index"] < third]
        assert sorted(entry["index"] for entry in index.each(Filters())) == sorted(expected)
    assert len(trail.found()) == len(expected)


def test_a_run_never_loads_the_index():
    package = "ansible_collections.scripts.toolkit.plugins.module_utils._audit"
    program = (
        f"import sys, {package}.record.run, {package}.store.integrator; "
        "print(*(name for name in sys.modules if '.index' in name))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
