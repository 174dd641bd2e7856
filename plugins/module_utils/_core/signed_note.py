# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signed notes: text with Ed25519 signatures, as C2SP signed-note has them (https://c2sp.org/signed-note).

Go's ``golang.org/x/mod/sumdb/note`` reads and writes the same bytes. What is looser there is strict here: base64 has
one spelling, and a note may carry one signature of a key only. Cosignatures of witnesses (type 4, with a time,
https://c2sp.org/tlog-cosignature) are verified too, but not made.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .errors import DependencyError, IntegrityError, ValidationError

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

    _MISSING = None
except ImportError as missing:
    _MISSING = missing

__all__ = ["MAX_SIGNATURES", "Note", "Signature", "Signer", "Verifier", "decode_base64", "open_note", "sign_note"]

ED25519 = 1
COSIGNATURE = 4

MAX_SIGNATURES = 64
"""A note with more signature lines is refused before any is looked at."""

_MAX_BYTES = 1 << 20
_LINE = re.compile("\u2014 ([^ \n]+) ([A-Za-z0-9+/]+={0,2})\n")


def _need_cryptography() -> None:
    if _MISSING is not None:
        raise DependencyError(
            f"Signatures need the Python library cryptography: {_MISSING}.",
            hint="Install it, on Debian: apt-get install python3-cryptography.",
        )


def decode_base64(text: str) -> bytes:
    """Return the bytes of standard base64.

    :raises IntegrityError: it is none, or not the one way in which these bytes are spelled.
    """
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise IntegrityError(f"{text[:80]!r} is not base64.") from error
    if base64.b64encode(data).decode("ascii") != text:
        raise IntegrityError(f"{text[:80]!r} is not how base64 spells these bytes.")
    return data


def _check_name(name: str) -> None:
    if not name or "+" in name or any(character.isspace() or ord(character) < 32 for character in name):
        raise ValidationError(f"{name!r} can't be the name of a key: it is empty or has a blank or a plus in it.")


@dataclass(frozen=True)
class Verifier:
    """A public key with its name.

    :param kind: 1 for Ed25519 over the text, 4 for a witness's cosignature.
    :param public: the 32 bytes of the key.
    """

    name: str
    public: bytes
    kind: int = ED25519

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.kind not in (ED25519, COSIGNATURE) or len(self.public) != 32:
            raise ValidationError(f"The key of {self.name} is no Ed25519 key.")

    @classmethod
    def from_vkey(cls, text: str) -> Verifier:
        """Return the key that ``NAME+ID+BASE64`` spells.

        :raises ValidationError: it is none.
        """
        name, _plus, rest = text.partition("+")
        key_id, _plus, data = rest.partition("+")
        try:
            raw = decode_base64(data)
            verifier = cls(name, raw[1:], raw[0] if raw else 0)
        except (IntegrityError, ValidationError) as error:
            raise ValidationError(f"{text!r} is no verifier key: {error.message}") from error
        if verifier.key_id != key_id:
            raise ValidationError(f"{text!r} is no verifier key: its id would be {verifier.key_id}.")
        return verifier

    @property
    def key_id(self) -> str:
        """The 32-bit id in hex, which belongs to name, kind and key."""
        return hashlib.sha256(f"{self.name}\n".encode() + bytes([self.kind]) + self.public).hexdigest()[:8]

    @property
    def vkey(self) -> str:
        """The key as one word: ``NAME+ID+BASE64``."""
        return f"{self.name}+{self.key_id}+{base64.b64encode(bytes([self.kind]) + self.public).decode('ascii')}"

    def verify(self, text: bytes, signature: bytes) -> bool:
        """Return whether ``signature`` (without the key id) is that of this key over ``text``."""
        _need_cryptography()
        if self.kind == COSIGNATURE:
            seconds = int.from_bytes(signature[:8], "big")
            text = f"cosignature/v1\ntime {seconds}\n".encode("ascii") + text
            signature = signature[8:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except InvalidSignature:
            return False
        return True


class Signer:
    """A private key with its name.

    :param key: an Ed25519 private key of the library cryptography.
    """

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.verifier = Verifier(name, public)
        self._key = key

    @classmethod
    def generate(cls, name: str) -> Signer:
        """Return a signer with a new key."""
        _need_cryptography()
        return cls(name, Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, name: str, data: bytes) -> Signer:
        """Return the signer whose key :meth:`pem` gave.

        :raises ValidationError: ``data`` is no Ed25519 key without a passphrase.
        """
        _need_cryptography()
        try:
            key = serialization.load_pem_private_key(data, password=None)
        except (ValueError, TypeError) as error:
            raise ValidationError(f"The private key of {name} can't be read: {error}") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise ValidationError(f"The private key of {name} is no Ed25519 key.")
        return cls(name, key)

    def pem(self) -> bytes:
        """Return the private key as PKCS #8 in PEM, not encrypted."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def sign(self, text: bytes) -> bytes:
        """Return the 64 bytes of the signature over ``text``."""
        return self._key.sign(text)


@dataclass(frozen=True)
class Signature:
    """A signature line: the key's name and id (hex), the signature's bytes, and the key where it is known.

    ``time`` (seconds since the epoch) is that of a cosignature, otherwise ``None``.
    """

    name: str
    key_id: str
    signature: bytes
    verifier: Verifier | None = None

    @property
    def time(self) -> int | None:
        cosigned = self.verifier is not None and self.verifier.kind == COSIGNATURE
        return int.from_bytes(self.signature[:8], "big") if cosigned else None


@dataclass(frozen=True)
class Note:
    """A note whose signatures were looked at.

    :param text: what is signed, with its final newline.
    :param verified: signatures of known keys; all are right.
    :param unknown: signatures of other keys; nothing is known about them.
    """

    text: bytes
    verified: tuple[Signature, ...]
    unknown: tuple[Signature, ...] = ()


def _check_text(text: bytes) -> None:
    try:
        characters = text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise IntegrityError("The note is not UTF-8.") from error
    if any(character < " " and character != "\n" for character in characters):
        raise IntegrityError("The note has control characters in it.")
    if not characters.endswith("\n"):
        raise IntegrityError("The note does not end with a newline.")


def sign_note(text: bytes, signers: Iterable[Signer], others: Sequence[bytes] = ()) -> bytes:
    """Return the signed note over ``text``, which ends with a newline.

    :param others: signature lines that are added as they are (of witnesses).
    :raises IntegrityError: ``text`` can't be a note.
    """
    _check_text(text)
    lines = []
    for signer in signers:
        data = bytes.fromhex(signer.verifier.key_id) + signer.sign(text)
        lines.append(f"\u2014 {signer.verifier.name} {base64.b64encode(data).decode('ascii')}\n".encode())
    return text + b"\n" + b"".join(lines) + b"".join(others)


def open_note(data: bytes, verifiers: Iterable[Verifier]) -> Note:
    """Return the text of a signed note with its signatures.

    :param verifiers: the keys that are trusted.
    :raises IntegrityError: it is no note, no trusted key signed it, or a signature of a trusted key is wrong.
    """
    if len(data) > _MAX_BYTES:
        raise IntegrityError("The note is longer than 1 MiB.")
    _check_text(data)
    head, separator, tail = data.rpartition(b"\n\n")
    if not separator or not tail:
        raise IntegrityError("The note has no signature.")
    text, lines = head + b"\n", tail.decode("utf-8")
    matches = list(_LINE.finditer(lines))
    if not matches or "".join(match[0] for match in matches) != lines:
        raise IntegrityError("A signature line of the note is malformed.")
    if len(matches) > MAX_SIGNATURES:
        raise IntegrityError(f"The note has more than {MAX_SIGNATURES} signatures.")
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    verified, unknown, seen = [], [], set()
    for match in matches:
        raw = decode_base64(match[2])
        name, key_id, signature = match[1], raw[:4].hex(), raw[4:]
        if len(raw) < 5:
            raise IntegrityError(f"The signature of {name} is too short.")
        if (name, key_id) in seen:
            raise IntegrityError(f"The key {name}+{key_id} signed twice.")
        seen.add((name, key_id))
        verifier = known.get((name, key_id))
        if verifier is None:
            unknown.append(Signature(name, key_id, signature))
        elif verifier.verify(text, signature):
            verified.append(Signature(name, key_id, signature, verifier))
        else:
            raise IntegrityError(f"The signature of the key {name}+{key_id} is wrong.")
    if not verified:
        names = ", ".join(f"{signature.name}+{signature.key_id}" for signature in unknown)
        raise IntegrityError(f"No trusted key signed it, only {names}.")
    return Note(text, tuple(verified), tuple(unknown))
