# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Proofs that are handed out, and the export in the layout of tlog-tiles."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from audit_small_log import append, flips

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.bundle import (
    Proof,
    check,
    entries_at,
    entries_of,
    parse_proofs,
    prove,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.checkpoint import parse
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.export_tiles import export_tiles
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.keys import Keyring, read_vkeys
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.tiles import TileReader
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.erase import erase
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.store.prune import prune
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import (
    ConflictError,
    IntegrityError,
    NotFoundError,
    ToolkitError,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._core.signed_note import Signer, Verifier


def line(number: int) -> bytes:
    return b'{"details":{"n":%d},"event_type":"TASK_RESULT","run_id":"run-%d"}' % (number, number % 3)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    directory = tmp_path / "audit"
    for start in (0, 300, 600):
        append(directory, [line(number) for number in range(start, start + 300)], 1)
    return directory


def proof_of(log: Path, index: int) -> Proof:
    return next(prove(str(log), entries_at(str(log), index)))


def holds(data: bytes, verifiers: list[Verifier]) -> bool:
    try:
        check(parse_proofs(data)[0], verifiers)
    except ToolkitError:
        return False
    return True


def test_an_entry_is_proved_offline(log: Path, tmp_path: Path) -> None:
    verifiers = Keyring(str(log)).verifiers()
    indexes = (0, 1, 255, 256, 511, 700, 903)
    files = [proof_of(log, index).encode() for index in indexes]
    log.rename(tmp_path / "gone")
    for index, data in zip(indexes, files):
        (proof,) = parse_proofs(data)
        assert proof.encode() == data
        proven = check(proof, verifiers)
        assert (proven.index, proven.checkpoint.size) == (index, 904)
        assert proven.record["event_type"] in ("TASK_RESULT", "KEY_ADDED", "SEGMENT_CLOSED")
        assert proven.note.verified[0].verifier == verifiers[0]


def test_the_proofs_of_a_run_are_whole_proofs_one_after_the_other(log: Path) -> None:
    looked_at: list[int] = []
    found = list(entries_of(str(log), "run-1", looked_at.append))
    assert (len(found), looked_at[-1]) == (300, 904)
    data = b"".join(proof.encode() for proof in prove(str(log), found))
    proofs = parse_proofs(data)
    assert b"".join(proof.encode() for proof in proofs) == data
    verifiers = Keyring(str(log)).verifiers()
    assert [check(proof, verifiers).record["run_id"] for proof in proofs] == ["run-1"] * 300
    assert list(entries_of(str(log), "run-9")) == []


def test_no_bit_of_a_proof_can_be_flipped(log: Path) -> None:
    verifiers = Keyring(str(log)).verifiers()
    data = proof_of(log, 300).encode()
    assert holds(data, verifiers)
    assert [byte for byte, changed in flips(data) if holds(changed, verifiers)] == []


@pytest.mark.parametrize("cut", [0, 10, 23, 40, 200, -1])
def test_what_is_no_proof_is_refused(log: Path, cut: int) -> None:
    verifiers = Keyring(str(log)).verifiers()
    with pytest.raises(IntegrityError):
        check(parse_proofs(proof_of(log, 3).encode()[:cut])[0], verifiers)


def test_only_trusted_keys_and_the_right_entry_count(log: Path) -> None:
    verifiers = Keyring(str(log)).verifiers()
    proof = proof_of(log, 5)
    with pytest.raises(IntegrityError, match="No trusted key"):
        check(proof, [Signer.generate(verifiers[0].name).verifier])
    with pytest.raises(IntegrityError, match="number 5 of 904"):
        check(proof, verifiers, b"another line")
    bare = parse_proofs(Proof(5, proof.hashes, proof.note).encode())[0]
    assert check(bare, verifiers, proof.extra).entry == proof.extra
    with pytest.raises(IntegrityError, match="does not hold its entry"):
        check(bare, verifiers)


def test_what_can_not_be_proved_is_said(log: Path) -> None:
    erase(str(log), [5], "asked for")
    with pytest.raises(NotFoundError, match="Entry 5 was erased"):
        proof_of(log, 5)
    with pytest.raises(ConflictError, match="No checkpoint covers entry 5000"):
        next(prove(str(log), [(5000, b"")]))
    with pytest.raises(IntegrityError, match="Entry 6 can't be proved"):
        next(prove(str(log), [(6, b"changed")]))
    assert list(entries_at(str(log), 5000)) == []
    (log / "checkpoint").unlink()
    with pytest.raises(NotFoundError, match="no signed checkpoint"):
        proof_of(log, 6)


def bundle_entries(data: bytes) -> list[bytes]:
    found = []
    while data:
        length = int.from_bytes(data[:2], "big")
        found.append(data[2 : 2 + length])
        assert len(found[-1]) == length
        data = data[2 + length :]
    return found


def exported(target: Path) -> tuple[int, list[bytes]]:
    """Read an export as a stranger does; return its size and the entries that have the hash in their tile."""
    head = parse((target / "checkpoint").read_bytes(), read_vkeys((target / "log.vkeys").read_text()))
    reader = TileReader(str(target), head.size)
    assert reader.root() == head.root
    found = []
    for number in range(-(-head.size // 256)):
        width = min(256, head.size - number * 256)
        path = target / "tile/entries" / (f"{number:03d}" if width == 256 else f"{number:03d}.p/{width}")
        if not path.exists():
            continue
        lines = bundle_entries(path.read_bytes())
        assert len(lines) == width
        for at, entry in enumerate(lines):
            if hashlib.sha256(b"\0" + entry).digest() == reader.leaf(number * 256 + at):
                found.append(entry)
    return head.size, found


def test_the_export_has_the_layout_of_tlog_tiles(log: Path, tmp_path: Path) -> None:
    target = tmp_path / "export"
    seen: list[tuple[int, int]] = []
    told = export_tiles(str(log), str(target), lambda done, total: seen.append((done, total)))
    assert told == {
        "origin": Keyring(str(log)).origin,
        "size": 904,
        "minimum": 0,
        "bundles": 4,
        "tiles": 5,
        "erased": [],
    }
    assert seen == [(256, 904), (512, 904), (768, 904), (904, 904)]
    size, entries = exported(target)
    assert (size, len(entries), entries[1]) == (904, 904, line(0))
    names = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert {"tile/entries/000", "tile/entries/003.p/136", "tile/0/003.p/136", "tile/1/000.p/3"} < names


def test_an_export_goes_on_where_it_was(log: Path, tmp_path: Path) -> None:
    target = tmp_path / "export"
    export_tiles(str(log), str(target))
    first = (target / "tile/entries/000").stat().st_ino
    append(log, [line(number) for number in range(900, 1400)])
    told = export_tiles(str(log), str(target))
    assert (told["size"], told["bundles"]) == (1404, 3)
    assert exported(target)[0] == len(exported(target)[1]) == 1404
    assert (target / "tile/entries/000").stat().st_ino == first


def test_an_export_of_a_log_with_gaps(log: Path, tmp_path: Path) -> None:
    erase(str(log), [400, 500], "asked for")
    prune(str(log), keep=640)
    told = export_tiles(str(log), str(tmp_path / "export"))
    size, entries = exported(tmp_path / "export")
    assert (told["minimum"], told["erased"], size) == (256, [400, 500], told["size"])
    assert len(entries) == size - 256 - 2


def test_an_export_goes_nowhere_else(log: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    append(other, [b"{}"])
    export_tiles(str(other), str(tmp_path / "export"))
    with pytest.raises(ConflictError, match="holds 2 entries of"):
        export_tiles(str(log), str(tmp_path / "export"))
    with pytest.raises(ConflictError, match="is not empty"):
        export_tiles(str(log), str(other / "keys"))
    tile = log / "tile/0/001"
    tile.write_bytes(bytes(32) + tile.read_bytes()[32:])
    with pytest.raises(IntegrityError, match="Entry 256 does not have the hash"):
        export_tiles(str(log), str(tmp_path / "new"))
    with pytest.raises(NotFoundError):
        export_tiles(str(tmp_path), str(tmp_path / "new"))
