# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Merkle tree, against the vectors of the Certificate Transparency reference implementation."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_hash,
    verify_consistency,
    verify_inclusion,
)
from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import IntegrityError, ValidationError

# https://github.com/google/certificate-transparency, MerkleTreeTest
INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
SIX_TO_EIGHT = [
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
]
FIRST_OF_EIGHT = [
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
]
LEAVES = [leaf_hash(data) for data in INPUTS]


def nodes_of(leaves: list[bytes]):
    def node(level: int, number: int) -> bytes:
        if not level:
            return leaves[number]
        return node_hash(node(level - 1, 2 * number), node(level - 1, 2 * number + 1))

    return node


def recursive(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY_ROOT
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(recursive(leaves[:split]), recursive(leaves[split:]))


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size: int) -> None:
    assert root_hash(LEAVES[:size]).hex() == ROOTS[size]
    assert Frontier(size, nodes_of(LEAVES)).root().hex() == ROOTS[size]


def test_published_proofs() -> None:
    node = nodes_of(LEAVES)
    assert [step.hex() for step in inclusion_proof(0, 8, node)] == FIRST_OF_EIGHT
    assert [step.hex() for step in consistency_proof(6, 8, node)] == SIX_TO_EIGHT


def _leaves(size: int) -> list[bytes]:
    return [hashlib.sha256(b"%d" % number).digest() for number in range(size)]


@given(st.integers(1, 70), st.data())
def test_proofs_hold_and_nothing_else_does(size: int, data: st.DataObject) -> None:
    leaves = _leaves(size)
    node, root = nodes_of(leaves), recursive(leaves)
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    proof = inclusion_proof(index, size, node)
    verify_inclusion(leaves[index], index, size, proof, root)
    grown, before = consistency_proof(old, size, node), recursive(leaves[:old])
    verify_consistency(old, before, size, root, grown)
    wrong = bytes(32)
    inclusions = [
        (wrong, index, size, proof, root),
        (leaves[index], index, size, proof, wrong),
        (leaves[index], index, size, [*proof, wrong], root),
        (leaves[index], size, size, proof, root),
        (leaves[index], -1, size, proof, root),
        *((leaves[index], other, size, proof, root) for other in range(size) if other != index),
        *((leaves[index], index, size, [*proof[:at], wrong, *proof[at + 1 :]], root) for at in range(len(proof))),
        *((leaves[index], index, size, proof[:at], root) for at in range(len(proof))),
    ]
    for arguments in inclusions:
        with pytest.raises(IntegrityError):
            verify_inclusion(*arguments)
    consistencies = [
        (old, wrong, size, root, grown),
        (size + 1, before, size, root, grown),
        (old, before, size, root, [*grown, wrong]),
        *((old, before, size, root, [*grown[:at], wrong, *grown[at + 1 :]]) for at in range(len(grown))),
        *((old, before, size, root, grown[:at]) for at in range(len(grown))),
    ]
    if old:
        consistencies.append((old, before, size, wrong, grown))
    for arguments in consistencies:
        with pytest.raises(IntegrityError):
            verify_consistency(*arguments)


@given(st.integers(0, 40), st.integers(0, 40))
def test_a_tree_grows_by_subtrees(old: int, more: int) -> None:
    leaves = _leaves(4 * old + more)
    frontier = Frontier()
    for number in range(old):
        frontier.append(recursive(leaves[4 * number : 4 * number + 4]), 2)
    assert frontier.root() == recursive(leaves[: 4 * old])
    for leaf in leaves[4 * old :]:
        frontier.append(leaf)
    assert (frontier.size, frontier.root()) == (len(leaves), recursive(leaves))


def test_what_does_not_exist_is_refused() -> None:
    frontier = Frontier(1, nodes_of(LEAVES))
    with pytest.raises(ValidationError):
        frontier.append(LEAVES[1], 1)
    with pytest.raises(ValidationError):
        inclusion_proof(8, 8, nodes_of(LEAVES))
    with pytest.raises(ValidationError):
        consistency_proof(9, 8, nodes_of(LEAVES))
