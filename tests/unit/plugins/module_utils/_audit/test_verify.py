# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verification of logs that did what logs do: grow, rotate, erase, prune, change keys, repair themselves."""

from __future__ import annotations

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from audit_small_log import ACTIVE, SEGMENT, append, at, copy

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof import scan
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof import verify as verify_module
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.differences import differences, spans
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.keys import Keyring
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.remembered import Memory, witnessed
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.verdict import WITH_WITNESS, WITHOUT_WITNESS
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.verify import verify
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store import blobs, segments
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.erase import erase
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.prune import prune
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.state import hidden_path, load_state
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import IntegrityError, NotFoundError
from ansible_collections.scripts.toolkit.plugins.module_utils._core.signed_note import Signer


def lines(count: int, start: int = 0) -> list[bytes]:
    return [
        b'{"details":{"n":%d},"event_type":"TASK_RESULT","run_id":"r%d"}' % (number, number // 100)
        for number in range(start, start + count)
    ]


def _write(log: Path, rounds: int) -> None:
    for number in range(rounds):
        append(log, lines(40, number), 20_000)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of four closed segments and an active one."""
    directory = tmp_path / "audit"
    for number in range(4):
        append(directory, lines(300, 300 * number), 1)
    return directory


def test_a_whole_log(log: Path) -> None:
    seen = []
    report = verify(str(log), progress=lambda done, total: seen.append((done, total)))
    assert (report.ok, report.size, report.segments, report.uncovered) == (True, 1205, 4, 0)
    assert report.types == {"KEY_ADDED": 1, "SEGMENT_CLOSED": 4, "TASK_RESULT": 1200}
    assert report.proves == WITHOUT_WITNESS
    assert seen[-1] == (1205, 1205)
    assert [done for done, _total in seen] == sorted(done for done, _total in seen)
    assert json.loads(json.dumps(report.as_dict()))["ok"] is True


def test_nothing_is_written_without_a_memory(log: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in log.rglob("*")}
    assert verify(str(log)).ok
    assert {path: path.stat().st_mtime_ns for path in log.rglob("*")} == before


def test_parts_are_verified_by_several_processes(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append(log, lines(3000, 1200))
    monkeypatch.setattr(scan, "_BLOCK", 40_000)
    monkeypatch.setattr(scan, "_PART_BYTES", 60_000)
    parts = []

    def run(function, items):
        items = list(items)
        parts.extend(items)
        with ProcessPoolExecutor(2) as pool:
            yield from pool.map(function, items)

    memory = str(log.parent / "memory.json")
    assert verify(str(log), memory=Memory(memory), run=run).ok
    append(log, lines(1, 4200))
    report = verify(str(log), memory=Memory(memory), run=run)
    assert (report.ok, report.remembered) == (True, [4205])
    active = [part for part in parts if part.name == ACTIVE]
    assert len(active) >= 8
    assert all(part.first % 256 == 0 for part in active)
    data = bytearray((log / ACTIVE).read_bytes())
    for offset in (100, 70_000, len(data) - 100):
        data[offset] ^= 1
        (log / ACTIVE).write_bytes(bytes(data))
        entry = 1024 + data.count(b"\n", 0, offset)
        assert at(verify(str(log), run=run).findings) == {f"entry {entry}"}
        data[offset] ^= 1
    del data[200:300]
    (log / ACTIVE).write_bytes(bytes(data))
    assert not verify(str(log), run=run).ok


def test_erased_entries_are_told_and_their_records_needed(log: Path) -> None:
    erase(str(log), [5, 600, 1150], "asked for by the person")
    report = verify(str(log))
    assert (report.ok, report.erased) == (True, [5, 600, 1150])
    append(log, lines(300, 1200), 1)
    assert verify(str(log)).ok
    copied = log.parent / "copy"
    copy(log, copied)
    segment = copied / SEGMENT
    segment.write_bytes(segment.read_bytes().replace(segment.read_bytes()[4:5], b"\x01", 1))
    assert at(verify(str(copied)).findings) == {SEGMENT}


def test_a_pruned_log_says_what_is_gone(log: Path) -> None:
    memory = str(log.parent / "memory.json")
    kept = Memory(memory)
    assert verify(str(log), memory=kept).ok
    prune(str(log), keep=500)
    append(log, lines(100, 1200))
    report = verify(str(log), memory=Memory(memory))
    assert (report.ok, report.minimum % 256, report.minimum > 0) == (True, 0, True)
    assert report.remembered == [1205]
    for name in ("tile/1/000.p/5", "tile/0/004", "tile/0/000"):
        data = (log / name).read_bytes()
        (log / name).write_bytes(bytes(32) + data[32:])
        assert at(verify(str(log), memory=Memory(memory)).findings) == {name}
        (log / name).write_bytes(data)
    state = json.loads((log / "state.json").read_bytes())
    (log / "state.json").write_text(json.dumps({**state, "minimum": report.minimum + 256}))
    assert not verify(str(log), memory=Memory(memory)).ok


def test_keys_change_on_record(log: Path) -> None:
    keyring = Keyring(str(log))
    first = keyring.verifiers()[0]
    keyring.rotate()
    append(log, lines(1))
    assert len(verify(str(log)).signed_by) == 2
    keyring.retire(first.key_id)
    append(log, lines(1))
    assert verify(str(log)).ok
    append(log, lines(1))
    report = verify(str(log), trusted=[first])
    assert (report.ok, report.signed_by) == (True, [keyring.verifiers()[1].key_id])
    stranger = Signer.generate(first.name).verifier
    assert at(verify(str(log), trusted=[stranger]).findings) == {f"key {stranger.key_id}"}
    trusted = log / "keys/trusted.vkeys"
    text = trusted.read_text()
    trusted.write_text(text + f"{stranger.vkey}  # active 2026-01-01T00:00:00Z\n")
    assert at(verify(str(log)).findings) == {"checkpoint", f"key {stranger.key_id}"}
    trusted.write_text("".join(line for line in text.splitlines(keepends=True) if first.vkey not in line))
    assert at(verify(str(log)).findings) == {f"key {first.key_id}"}


def test_a_witness_is_compared(log: Path, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    (witness / "deeper").mkdir(parents=True)
    first = (log / "checkpoint").read_bytes()
    (witness / "one.checkpoint").write_bytes(first)
    append(log, lines(5))
    second = (log / "checkpoint").read_bytes()
    (witness / "deeper" / "all.jsonl").write_text(json.dumps({"note": second.decode(), "time": 1}) + "\nbroken\n")
    (witness / "other").write_bytes(b"something else\n")
    append(log, lines(1))
    report = verify(str(log), witnesses=witnessed(str(witness)))
    assert (report.ok, report.witnessed) == (True, [1205, 1210])
    assert report.proves.startswith(WITH_WITNESS)
    older = tmp_path / "older"
    copy(log, older)
    append(log, lines(1))
    (witness / "newest").write_bytes((log / "checkpoint").read_bytes())
    findings = verify(str(older), witnesses=witnessed(str(witness))).findings
    assert [finding.kind for finding in findings] == ["witness"]
    assert "rolled back" in findings[0].message
    (witness / "newest").write_bytes(first + b"\n" + second)
    assert verify(str(log), witnesses=witnessed(str(witness))).witnessed == [1205, 1210]
    assert at(verify(str(log), witnesses=[]).findings) == {"the witness"}
    with pytest.raises(NotFoundError):
        witnessed(str(tmp_path / "nowhere"))


def test_a_log_may_grow_while_it_is_verified(log: Path) -> None:
    context = multiprocessing.get_context("fork")
    writer = context.Process(target=_write, args=(log, 60))
    writer.start()
    sizes = []
    try:
        while writer.is_alive():
            report = verify(str(log))
            assert report.findings == []
            sizes.append(report.size)
    finally:
        writer.join()
    assert writer.exitcode == 0
    assert len(set(sizes)) > 2


def test_a_segment_that_gets_its_own_name_meanwhile_is_not_missing(log: Path, monkeypatch) -> None:
    """The last step of closing a segment, which changes neither the state nor the checkpoint."""
    (closed, *_others) = sorted((log / "segments").glob("*.gz"))
    hidden = Path(hidden_path(str(closed), load_state(str(log)).generation))
    closed.rename(hidden)

    def ranges(directory: str) -> list:
        found = segments.ranges(directory)
        if hidden.exists():
            hidden.rename(closed)
        return found

    monkeypatch.setattr(verify_module, "ranges", ranges)
    assert verify(str(log)).findings == []
    closed.unlink()
    assert closed.name in {Path(finding.where).name for finding in verify(str(log)).findings}


def test_side_blobs_belong_to_the_log(log: Path) -> None:
    names = [blobs.write(str(log), b"large " * 1000)["sha256"] for _number in range(3)]
    append(log, [b'{"details":{"result_blob":{"bytes":6000,"sha256":"%s"}}}' % name.encode() for name in names])
    append(log, [b'{"details":{"result":{"x_blob":{"bytes":1,"sha256":"none of ours"}}}}', b'{"x_blob":{"bytes":1}'])
    assert verify(str(log)).ok
    (log / "blobs" / names[0]).unlink()
    (log / "blobs" / names[1]).write_bytes(b"small")
    findings = verify(str(log), parse=False).findings
    assert [(finding.where, finding.index) for finding in findings] == [
        (f"blobs/{names[0]}", 1205),
        (f"blobs/{names[1]}", 1206),
    ]
    erase(str(log), [1205, 1206], "asked for")
    assert verify(str(log)).ok


def test_lost_entries_stay_a_finding(log: Path) -> None:
    data = (log / ACTIVE).read_bytes().splitlines(keepends=True)
    (log / ACTIVE).write_bytes(b"".join(data[:-3]))
    assert {"entry 1202", ACTIVE} <= at(verify(str(log)).findings)
    append(log, lines(2))
    report = verify(str(log))
    # The record of the closed segment was among them.
    assert at(report.findings) == {"entries 1202 to 1204", "segments/00000000000000000768.jsonl.gz"}
    assert any("Lost" in finding.message for finding in report.findings)
    assert any("repair" in note for note in report.notes)


@pytest.mark.parametrize("event", ["SEGMENT_CLOSED", "ENTRY_ERASED", "LOG_PRUNED", "LOG_REPAIRED", "KEY_ADDED"])
def test_nonsense_in_entries_of_the_log_itself_breaks_nothing(log: Path, event: str) -> None:
    nonsense = [[], {"first": "x", "index": [], "minimum_index": {}, "vkey": 1, "repair": [], "segments": [1, {}]}, 7]
    for details in (*nonsense, {"first": -1, "segments": {"first": []}, "index": -1, "vkey": None, "same_root": 0}):
        record = {"details": details, "event_type": event, "run_id": ""}
        append(log, [json.dumps(record, sort_keys=True, separators=(",", ":")).encode()])
    report = verify(str(log))
    assert report.size == 1209
    assert {finding.kind for finding in report.findings} <= {"segment", "key"}


def test_lines_that_are_no_records_are_noted(log: Path) -> None:
    append(log, [b"no json", b'{"event_type":7'])
    report = verify(str(log))
    assert report.ok
    assert report.notes == ["2 lines of audit.jsonl are no records: 1205, 1206."]
    assert verify(str(log), parse=False).notes == []


def test_a_log_without_a_key_or_checkpoint_is_not_whole(log: Path) -> None:
    (log / "checkpoint").unlink()
    assert at(verify(str(log)).findings) == {"checkpoint"}
    for path in (log / "keys").iterdir():
        path.unlink()
    assert "keys/trusted.vkeys" in at(verify(str(log)).findings)


def test_the_memory_is_small_and_guarded(log: Path) -> None:
    memory = log.parent / "deeper" / "memory.json"
    assert verify(str(log), memory=Memory(str(memory))).ok
    assert memory.stat().st_mode & 0o777 == 0o600
    for _round in range(80):
        append(log, lines(3))
        assert verify(str(log), memory=Memory(str(memory)), parse=False).ok
    sizes = sorted(kept.head().size for kept in Memory(str(memory)).kept)
    assert (len(sizes), sizes[0], sizes[-1]) == (64, 1205, 1445)
    assert sizes[-24:] == list(range(1445 - 23 * 3, 1446, 3))
    text = memory.read_text()
    for bad in (text.replace('"note": "', '"note": "x', 1), text[:-20], "{}"):
        memory.write_text(bad)
        with pytest.raises(IntegrityError, match="damaged"):
            Memory(str(memory))


def test_differences_are_named() -> None:
    hashes = [bytes([number]) * 32 for number in range(10)]
    new = bytes([99]) * 32

    def told(found: list[bytes]) -> list[str]:
        return [str(each) for each in differences(b"".join(found), b"".join(hashes), 100)]

    assert told(hashes) == []
    assert told(hashes[:3] + hashes[5:]) == ["entries 103 to 104 are missing"]
    assert told(hashes[:-1]) == ["entry 109 is missing"]
    assert told([new, *hashes]) == ["a line before entry 100 was not signed"]
    assert told([*hashes, new, new]) == ["2 lines before entry 110 were not signed"]
    assert told([*hashes[:4], hashes[1], *hashes[4:]]) == ["a line before entry 104 repeats entry 101"]
    assert told([*hashes[:2], new, new, *hashes[4:]]) == ["entries 102 to 103 were changed"]
    assert told([hashes[7], *hashes[1:7], hashes[0], *hashes[8:]]) == ["entries 100 and 107 have changed places"]
    assert told([]) == ["entries 100 to 109 are missing"]
    assert spans([1, 2, 3, 7, 9, 10]) == "1 to 3, 7, 9 to 10"
