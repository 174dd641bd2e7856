# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signed notes, against the example that Go's sumdb/note publishes."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import IntegrityError, ValidationError
from ansible_collections.scripts.toolkit.plugins.module_utils._core.signed_note import (
    COSIGNATURE,
    MAX_SIGNATURES,
    Signer,
    Verifier,
    decode_base64,
    open_note,
    sign_note,
)

# https://pkg.go.dev/golang.org/x/mod/sumdb/note#hdr-Example
SKEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
LINE = (
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()
NOTE = TEXT + b"\n" + LINE


def peter() -> Signer:
    # The id and the data hold plus signs themselves, so the data is found from the known beginning.
    seed = base64.b64decode(SKEY.split("c74f20a3+")[1])[1:]
    return Signer("PeterNeumann", Ed25519PrivateKey.from_private_bytes(seed))


def test_the_published_note_is_read() -> None:
    verifier = Verifier.from_vkey(VKEY)
    note = open_note(NOTE, [verifier])
    assert note.text == TEXT
    assert [(signature.name, signature.key_id, signature.time) for signature in note.verified] == [
        ("PeterNeumann", "c74f20a3", None)
    ]
    assert verifier.vkey == VKEY


def test_the_published_note_is_written() -> None:
    assert peter().verifier.vkey == VKEY
    assert sign_note(TEXT, [peter()]) == NOTE


@given(st.integers(0, len(NOTE) * 8 - 1))
def test_no_bit_of_a_note_can_be_flipped(bit: int) -> None:
    data = bytearray(NOTE)
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(IntegrityError):
        open_note(bytes(data), [Verifier.from_vkey(VKEY)])


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ],
)
def test_what_is_no_key_is_refused(vkey: str) -> None:
    with pytest.raises(ValidationError):
        Verifier.from_vkey(vkey)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        TEXT,
        TEXT + b"\n",
        TEXT + LINE,
        NOTE[:-1],
        NOTE.replace(b"problem", b"pro\tblem"),
        NOTE.replace(b"problem", b"pro\xffblem"),
        NOTE + b"\xe2\x80\x94 PeterNeumann\n",
        NOTE + b"\xe2\x80\x94 PeterNeumann AAAA\n",
        NOTE + LINE,
        NOTE + LINE.replace(b"AM=", b"AN="),
        NOTE.replace(b"Peter", b"Paula"),
        TEXT + b"\n" + b"".join(LINE.replace(b"Peter", b"P%d" % at) for at in range(MAX_SIGNATURES)) + LINE,
        b"x" * (1 << 20) + NOTE,
    ],
)
def test_what_is_no_note_of_a_trusted_key_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        open_note(data, [Verifier.from_vkey(VKEY)])


def test_signatures_of_other_keys_are_told_apart() -> None:
    other = Signer.generate("example.com/other")
    note = open_note(sign_note(TEXT, [peter(), other]), [Verifier.from_vkey(VKEY)])
    assert [signature.name for signature in note.verified] == ["PeterNeumann"]
    assert [signature.key_id for signature in note.unknown] == [other.verifier.key_id]
    both = open_note(sign_note(TEXT, [other], [LINE]), [other.verifier, Verifier.from_vkey(VKEY)])
    assert len(both.verified) == 2


def test_a_wrong_signature_of_one_trusted_key_is_not_healed_by_another() -> None:
    other = Signer.generate("example.com/other")
    data = sign_note(TEXT, [peter(), other]).replace(b"x08go/Z", b"x08go/Y")
    with pytest.raises(IntegrityError, match=r"PeterNeumann\+c74f20a3 is wrong"):
        open_note(data, [Verifier.from_vkey(VKEY), other.verifier])


def test_a_cosignature_tells_its_time() -> None:
    key = Ed25519PrivateKey.generate()
    plain = Signer("witness.example/w1", key).verifier
    witness = Verifier(plain.name, plain.public, COSIGNATURE)
    signature = (1679315147).to_bytes(8, "big") + key.sign(b"cosignature/v1\ntime 1679315147\n" + TEXT)
    data = base64.b64encode(bytes.fromhex(witness.key_id) + signature).decode()
    line = f"\u2014 {witness.name} {data}\n".encode()
    note = open_note(NOTE + line, [witness, Verifier.from_vkey(VKEY)])
    assert [found.time for found in note.verified] == [None, 1679315147]
    assert witness.key_id != plain.key_id
    with pytest.raises(IntegrityError, match="is wrong"):
        open_note(NOTE.replace(b"answer", b"enigma") + line, [witness])


def test_a_private_key_can_be_kept() -> None:
    signer = Signer.generate("example.com/log")
    assert Signer.from_pem("example.com/log", signer.pem()).verifier == signer.verifier
    with pytest.raises(ValidationError):
        Signer.from_pem("example.com/log", b"nothing")


@pytest.mark.parametrize("text", ["AN==", "AA=", "A", "AA==\n", "A\u00e9==", "-_=="])
def test_base64_has_one_spelling(text: str) -> None:
    with pytest.raises(IntegrityError):
        decode_base64(text)
    assert decode_base64("AA==") == b"\0"
