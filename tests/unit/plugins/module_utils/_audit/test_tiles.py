# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tiles on disk, their crash order, and checkpoints."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.checkpoint import (
    Checkpoint,
    parse,
    parse_text,
    sign,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.merkle import root_hash
from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.tiles import (
    TILE_BYTES,
    TileReader,
    TreeWriter,
    partial_tiles,
    tile_path,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import IntegrityError
from ansible_collections.scripts.toolkit.plugins.module_utils._core.signed_note import Signer


def leaves(start: int, end: int, salt: str = "") -> list[bytes]:
    return [hashlib.sha256(f"{salt}{number}".encode()).digest() for number in range(start, end)]


def tiles_of(directory: Path) -> dict[str, int]:
    return {
        path.relative_to(directory).as_posix(): path.stat().st_size
        for path in directory.glob("tile/**/*")
        if path.is_file()
    }


def test_paths_are_those_of_the_specification() -> None:
    assert tile_path(0, 0) == "tile/0/000"
    assert tile_path(0, 1234067) == "tile/0/x001/x234/067"
    assert tile_path(1, 999, 17) == "tile/1/999.p/17"
    assert tile_path("entries", 1000) == "tile/entries/x001/000"
    # The example of https://c2sp.org/tlog-tiles
    assert list(partial_tiles(70_000)) == [(0, 273, 112), (1, 1, 17), (2, 0, 1)]
    assert list(partial_tiles(256)) == [(1, 0, 1)]
    assert list(partial_tiles(0)) == []


def test_the_tree_of_the_specification_has_its_files(tmp_path: Path) -> None:
    writer = TreeWriter(str(tmp_path))
    hashes = leaves(0, 70_000)
    writer.append(hashes)
    writer.flush()
    found = tiles_of(tmp_path)
    full = {f"tile/0/{number:03d}" for number in range(273)} | {"tile/1/000"}
    assert {path for path in found if ".p/" not in path} == full
    assert {found[path] for path in full} == {TILE_BYTES}
    assert {path: size // 32 for path, size in found.items() if ".p/" in path} == {
        "tile/0/273.p/112": 112,
        "tile/1/001.p/17": 17,
        "tile/2/000.p/1": 1,
    }
    assert writer.root() == root_hash(hashes) == TileReader(str(tmp_path), 70_000).root()


@settings(max_examples=25)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=5))
def test_a_tree_grows_over_many_openings(tmp_path_factory: pytest.TempPathFactory, steps: list[int]) -> None:
    directory = tmp_path_factory.mktemp("tree")
    size = 0
    for step in steps:
        before = {path: (directory / path).read_bytes() for path in tiles_of(directory) if ".p/" not in path}
        writer = TreeWriter(str(directory), size)
        assert writer.size == size
        writer.append(leaves(size, size + step))
        old, size = size, size + step
        assert writer.root() == root_hash(leaves(0, size))
        writer.flush()
        assert TileReader(str(directory), old).root() == root_hash(leaves(0, old))  # until it is cleaned
        writer.clean()
        assert {path: (directory / path).read_bytes() for path in before} == before
        assert {path for path in tiles_of(directory) if ".p/" in path} == {
            tile_path(*part) for part in partial_tiles(size)
        }
        assert TileReader(str(directory), size).root(old) == root_hash(leaves(0, old))


def test_a_crash_before_the_commit_leaves_nothing_that_matters(tmp_path: Path) -> None:
    first = TreeWriter(str(tmp_path))
    first.append(leaves(0, 300))
    first.flush()
    first.clean()
    lost = TreeWriter(str(tmp_path), 300)
    lost.append(leaves(300, 900, "never committed"))
    lost.flush()
    (tmp_path / "tile/0/.002.x.new").write_bytes(b"half")
    again = TreeWriter(str(tmp_path), 300)
    again.append(leaves(300, 520))
    again.flush()
    again.clean()
    clean = tmp_path / "clean"
    clean.mkdir()
    other = TreeWriter(str(clean))
    other.append(leaves(0, 520))
    other.flush()
    expected = {path: (clean / path).read_bytes() for path in tiles_of(clean)}
    found = {path: (tmp_path / path).read_bytes() for path in tiles_of(tmp_path)}
    assert found == expected


def test_flush_can_be_repeated_and_writes_nothing_new(tmp_path: Path) -> None:
    writer = TreeWriter(str(tmp_path))
    writer.append(leaves(0, 700))
    writer.flush()
    stamps = {path: (tmp_path / path).stat().st_ino for path in tiles_of(tmp_path)}
    again = TreeWriter(str(tmp_path))
    again.append(leaves(0, 700))
    again.flush()
    assert {path: (tmp_path / path).stat().st_ino for path in tiles_of(tmp_path)} == stamps


def test_a_cut_or_lost_tile_is_named(tmp_path: Path) -> None:
    writer = TreeWriter(str(tmp_path))
    writer.append(leaves(0, 300))
    writer.flush()
    tile = tmp_path / "tile/0/001.p/44"
    tile.write_bytes(tile.read_bytes()[:-1])
    with pytest.raises(IntegrityError, match=r"tile/0/001\.p/44 has 1407 bytes instead of 1408"):
        TreeWriter(str(tmp_path), 300)
    tile.unlink()
    with pytest.raises(IntegrityError, match=r"tile/0/001\.p/44 is missing"):
        TreeWriter(str(tmp_path), 300)
    with pytest.raises(IntegrityError):
        TileReader(str(tmp_path), 256).node(9, 0)


def test_checkpoints_are_read_as_they_are_written() -> None:
    signer = Signer.generate("example.com/behind-the-sofa")
    checkpoint = Checkpoint("example.com/behind-the-sofa", 20852163, root_hash([]))
    data = sign(checkpoint, [signer])
    assert data.startswith(b"example.com/behind-the-sofa\n20852163\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n")
    assert parse(data, [signer.verifier]) == checkpoint
    with pytest.raises(IntegrityError, match="No trusted key"):
        parse(data, [Signer.generate("example.com/behind-the-sofa").verifier])


def test_the_published_checkpoint_is_read() -> None:
    text = b"example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    assert parse_text(text).size == 20852163
    assert parse_text(text + b"more\n").extensions == ("more",)
    assert parse_text(text + b"more\n").text == text + b"more\n"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"a\n1\n",
        b"a\n01\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        b"a\n-1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        b"a\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=\n",
        b"a\n1\n47DE\n",
        b"\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        b"a\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\nb\n",
        b"a\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: bytes) -> None:
    with pytest.raises(IntegrityError):
        parse_text(text)
