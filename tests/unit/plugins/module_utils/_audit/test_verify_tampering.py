# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tampering: whatever is done to a small log is found, and the place is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from audit_small_log import ACTIVE, CLOSED, SEGMENT, SmallLog, append, at, copy, flips

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.keys import Keyring
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.merkle import leaf_hash
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.tiles import TILE_WIDTH

FULL, PARTIAL, UPPER = "tile/0/000", "tile/0/001.p/4", "tile/1/000.p/1"
PARTS = [range(2), range(2, 4), range(4, 6), range(6, 8)]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> SmallLog:
    return SmallLog(tmp_path_factory.mktemp("small"))


@pytest.fixture
def own(tmp_path: Path) -> SmallLog:
    return SmallLog(tmp_path)


def test_it_is_whole(log: SmallLog) -> None:
    report = log.report()
    assert (report.ok, report.size, report.segments, report.tiles) == (True, CLOSED + 4, 1, 3)
    assert report.remembered == [CLOSED + 4]
    names = {path.relative_to(log.path).as_posix() for path in log.path.rglob("*") if path.is_file()}
    assert {ACTIVE, SEGMENT, FULL, PARTIAL, UPPER, "checkpoint"} < names


@pytest.mark.parametrize("bits", PARTS, ids=str)
def test_every_bit_of_the_active_segment(log: SmallLog, bits: range) -> None:
    data = log.read(ACTIVE)
    for byte, changed in flips(data, bits):
        entry = CLOSED + data.count(b"\n", 0, byte)
        with log.changed(ACTIVE, changed):
            assert f"entry {entry}" in at(log.findings()), byte


@pytest.mark.parametrize("bits", PARTS, ids=str)
def test_every_bit_of_a_closed_segment(log: SmallLog, bits: range) -> None:
    for byte, changed in flips(log.read(SEGMENT), bits):
        with log.changed(SEGMENT, changed):
            assert SEGMENT in at(log.findings()), byte


@pytest.mark.parametrize("name", [PARTIAL, UPPER, "checkpoint"])
def test_every_bit_of_partial_tiles_and_the_checkpoint(log: SmallLog, name: str) -> None:
    for byte, changed in flips(log.read(name)):
        with log.changed(name, changed):
            assert at(log.findings()) == {name}, byte


def test_every_bit_of_a_full_tile(log: SmallLog) -> None:
    # All 65,536 bits in 256 rounds: one bit in each of the 256 hashes, and each of them is named.
    data = log.read(FULL)
    for bit in range(256):
        changed = bytearray(data)
        for hash_at in range(0, len(data), 32):
            changed[hash_at + bit // 8] ^= 1 << bit % 8
        with log.changed(FULL, bytes(changed)):
            findings = log.findings()
        assert [(finding.where, finding.message.rpartition(": ")[2]) for finding in findings] == [(FULL, "0 to 255.")]
    for number in (0, 77, 255):
        for byte, changed in flips(data[number * 32 : number * 32 + 32]):
            with log.changed(FULL, data[: number * 32] + changed + data[number * 32 + 32 :]):
                assert [(finding.where, finding.index) for finding in log.findings()] == [(FULL, number)], byte


@pytest.mark.parametrize("name", [ACTIVE, SEGMENT, PARTIAL, UPPER, "checkpoint"])
def test_every_truncation(log: SmallLog, name: str) -> None:
    data = log.read(name)
    for length in range(len(data)):
        with log.changed(name, data[:length]):
            assert name in at(log.findings()), length
    with log.changed(name, None):
        assert name in at(log.findings())
    with log.changed(name, data + b"\n"):
        assert name in at(log.findings())


def test_truncations_of_a_full_tile(log: SmallLog) -> None:
    data = log.read(FULL)
    for length in {*range(0, len(data), 61), *range(0, len(data), 32), len(data) - 1}:
        with log.changed(FULL, data[:length]):
            assert at(log.findings()) == {FULL}, length
    with log.changed(FULL, None):
        assert at(log.findings()) == {FULL}


@pytest.mark.parametrize("name", [ACTIVE, SEGMENT])
def test_every_dropped_line(log: SmallLog, name: str) -> None:
    lines = log.lines(name)
    first = 0 if name == SEGMENT else CLOSED
    for number in range(len(lines)):
        with log.rewritten(name, lines[:number] + lines[number + 1 :]):
            found = {(finding.kind, finding.index) for finding in log.findings()}
        assert ("entry", first + number) in found
        assert {index for kind, index in found if kind == "entry"} == {first + number}


@pytest.mark.parametrize("name", [ACTIVE, SEGMENT])
@pytest.mark.parametrize("what", ["duplicated", "inserted"])
def test_every_line_too_much(log: SmallLog, name: str, what: str) -> None:
    lines = log.lines(name)
    first = 0 if name == SEGMENT else CLOSED
    for number in range(len(lines)):
        more = lines[number] if what == "duplicated" else b'{"n":"new"}'
        with log.rewritten(name, [*lines[: number + 1], more, *lines[number + 1 :]]):
            findings = log.findings()
        if name == ACTIVE and number == len(lines) - 1:
            # Behind the last signed entry there may be some that wait for their signature.
            assert log_grew(log, lines, more)
            continue
        assert [finding.index for finding in findings if finding.kind == "entry"] == [first + number + 1]
        text = f"repeats entry {first + number}" if what == "duplicated" else "was not signed"
        assert any(text in finding.message for finding in findings)


def log_grew(log: SmallLog, lines: list[bytes], more: bytes) -> bool:
    """Return whether a line at the end is told as one that no checkpoint covers, not as one of the signed ones."""
    with log.rewritten(ACTIVE, [*lines, more]):
        report = log.report()
    return (report.size, report.uncovered) == (CLOSED + 4, 1)


@pytest.mark.parametrize("name", [ACTIVE, SEGMENT])
def test_every_two_neighbours_swapped(log: SmallLog, name: str) -> None:
    lines = log.lines(name)
    first = 0 if name == SEGMENT else CLOSED
    for number in range(len(lines) - 1):
        swapped = [*lines[:number], lines[number + 1], lines[number], *lines[number + 2 :]]
        with log.rewritten(name, swapped):
            findings = [finding for finding in log.findings() if finding.kind == "entry"]
        assert [finding.index for finding in findings] == [first + number]
        assert f"entries {first + number} and {first + number + 1} have changed places" in findings[0].message


def test_lines_behind_the_committed_end(log: SmallLog) -> None:
    for more in (b"x", b'{"n":"new"}\n', log.lines(ACTIVE)[0] + b"\n"):
        with log.changed(ACTIVE, log.read(ACTIVE) + more):
            assert at(log.findings()) == {ACTIVE}


def test_an_erased_entry_without_a_record(log: SmallLog) -> None:
    for name, first in ((ACTIVE, CLOSED), (SEGMENT, 0)):
        lines = log.lines(name)
        for number in range(0, len(lines), 1 if name == ACTIVE else 51):
            digest = leaf_hash(lines[number]).hex()
            holder = b'{"erased":"%s","event_type":"ERASED","index":%d}' % (digest.encode(), first + number)
            with log.rewritten(name, [*lines[:number], holder, *lines[number + 1 :]]):
                assert f"entry {first + number}" in at(log.findings())
            wrong = holder.replace(b'"index":%d}' % (first + number), b'"index":9999}')
            with log.rewritten(name, [*lines[:number], wrong, *lines[number + 1 :]]):
                assert f"entry {first + number}" in at(log.findings())


def test_a_segment_that_is_gone(own: SmallLog) -> None:
    (own.path / SEGMENT).unlink()
    assert SEGMENT in at(own.findings())
    state = json.loads(own.read("state.json"))
    state["minimum"] = CLOSED
    (own.path / "state.json").write_text(json.dumps(state))
    assert [(finding.where, finding.index) for finding in own.findings() if finding.kind == "segment"] == [(SEGMENT, 0)]


@pytest.mark.parametrize("keep_key", [True, False], ids=["its own key", "another key"])
def test_a_log_that_was_written_anew(own: SmallLog, keep_key: bool) -> None:
    lines = own.lines(SEGMENT) + own.lines(ACTIVE)
    lines[100] = b'{"n":"nothing happened"}'
    own.forge(lines, keep_key)
    findings = own.findings()
    assert f"the remembered checkpoint of {CLOSED + 4} entries" in at(findings)
    assert ("key" in {finding.kind for finding in findings}) is not keep_key


def test_what_was_changed_between_two_remembered_checkpoints_is_bounded(own: SmallLog) -> None:
    append(own.path, [b'{"n":"more %d"}' % number for number in range(300)])
    assert own.report().remembered == [CLOSED + 4]
    assert own.report().remembered == [CLOSED + 4, CLOSED + 304]
    lines = own.lines(SEGMENT) + own.lines(ACTIVE)
    lines[400] = b'{"n":"nothing happened"}'
    own.forge(lines, keep_key=True)
    remembered = [finding for finding in own.report().findings if finding.kind == "remembered"]
    assert [(finding.where, finding.index) for finding in remembered] == [
        (f"the remembered checkpoint of {CLOSED + 304} entries", CLOSED + 4)
    ]
    assert f"among the entries {CLOSED + 4} to {CLOSED + 303}" in remembered[0].message


def test_a_directory_that_was_rolled_back(own: SmallLog, tmp_path: Path) -> None:
    copy(own.path, tmp_path / "old")
    append(own.path, [b'{"n":"later"}'])
    assert own.report().ok
    copy(tmp_path / "old", own.path)
    findings = own.report().findings
    assert at(findings) == {f"the remembered checkpoint of {CLOSED + 5} entries"}
    assert "rolled back" in findings[0].message
    append(own.path, [b'{"n":"another"}', b'{"n":"history"}'])
    assert at(own.report().findings) == {f"the remembered checkpoint of {CLOSED + 5} entries"}


def test_a_key_that_was_replaced(own: SmallLog, tmp_path: Path) -> None:
    origin = Keyring(str(own.path)).origin
    other = Keyring(str(tmp_path / "other"), origin)
    shutil.copytree(own.path / "keys", tmp_path / "keys")
    other.signers()
    other.pending()
    other.settle()
    shutil.rmtree(own.path / "keys")
    shutil.copytree(tmp_path / "other" / "keys", own.path / "keys")
    findings = own.report().findings
    assert {"checkpoint", f"key {other.verifiers()[0].key_id}"} <= at(findings)
    # Even if it signs what is there, and the old one is said to be retired.
    data = own.read("checkpoint").rpartition(b"\n\n")[0] + b"\n"
    from_other = other.signers()[0].sign(data)
    assert from_other
    old = (tmp_path / "keys/trusted.vkeys").read_text().replace("# active", "# retired")
    new = (own.path / "keys/trusted.vkeys").read_text()
    (own.path / "keys/trusted.vkeys").write_text(old + new)
    append(own.path, [b'{"n":"signed by the other key"}'])
    assert f"key {other.verifiers()[0].key_id}" in at(own.report().findings)


def test_a_signature_too_few_or_too_many(own: SmallLog) -> None:
    keyring = Keyring(str(own.path))
    keyring.rotate()
    append(own.path, [b'{"n":"with two keys"}'])
    assert own.report().signed_by == sorted(verifier.key_id for verifier in keyring.verifiers())
    data = own.read("checkpoint")
    head, _blank, signatures = data.rpartition(b"\n\n")
    first, second = signatures.splitlines(keepends=True)
    for lines, message in (
        (first, "did not sign"),
        (second, "did not sign"),
        (first + first + second, "signed twice"),
        (signatures.replace(b"/scripts", b"/scr1pts", 1), "not trusted"),
    ):
        with own.changed("checkpoint", head + b"\n\n" + lines):
            findings = own.report().findings
            assert at(findings) == {"checkpoint"}
            assert any(message in finding.message for finding in findings)


def test_the_place_is_right_where_two_things_were_changed(own: SmallLog) -> None:
    append(own.path, [b'{"n":%d}' % number for number in range(600)])
    assert own.report().ok
    lines = own.lines(ACTIVE)
    lines[40] = b'{"n":"nothing"}'
    tile = own.read("tile/0/002")
    with own.rewritten(ACTIVE, lines), own.changed("tile/0/002", bytes(32) + tile[32:]):
        found = {(finding.where, finding.index) for finding in own.report().findings}
    assert found == {(f"entry {CLOSED + 40}", CLOSED + 40), ("tile/0/002", 2 * TILE_WIDTH)}
