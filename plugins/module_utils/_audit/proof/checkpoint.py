# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checkpoints: the size and root of the log, signed (https://c2sp.org/tlog-checkpoint)."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..._core.errors import IntegrityError
from ..._core.signed_note import Note, Signer, Verifier, decode_base64, open_note, sign_note

__all__ = ["CHECKPOINT_NAME", "Checkpoint", "parse", "parse_text", "parse_with_note", "sign"]

CHECKPOINT_NAME = "checkpoint"
"""The file in the log's directory that holds the newest one."""

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


@dataclass(frozen=True)
class Checkpoint:
    """The head of a log.

    :param origin: the name of the log.
    :param size: how many entries it has.
    :param root: the 32 bytes of the Merkle tree's root over them.
    :param extensions: further lines, which this collection never writes.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> bytes:
        """The bytes that are signed."""
        root = base64.b64encode(self.root).decode("ascii")
        return "".join(f"{line}\n" for line in (self.origin, self.size, root, *self.extensions)).encode()


def sign(checkpoint: Checkpoint, signers: Iterable[Signer], others: Sequence[bytes] = ()) -> bytes:
    """Return the bytes of the signed checkpoint.

    :param others: signature lines of witnesses, taken over as they are.
    """
    return sign_note(checkpoint.text, signers, others)


def parse_text(text: bytes) -> Checkpoint:
    """Return the checkpoint that an already verified ``text`` spells.

    :raises IntegrityError: it is none, or spelled in another way than :attr:`Checkpoint.text` does.
    """
    lines = text.decode("utf-8", "replace").split("\n")
    if len(lines) < 4 or lines.pop() or not all(lines) or not _SIZE.fullmatch(lines[1]):
        raise IntegrityError("This is no checkpoint: an origin, a size and a root are expected, one a line.")
    root = decode_base64(lines[2])
    if len(root) != 32:
        raise IntegrityError("The root in the checkpoint is no SHA-256.")
    return Checkpoint(lines[0], int(lines[1]), root, tuple(lines[3:]))


def parse_with_note(data: bytes, verifiers: Iterable[Verifier]) -> tuple[Checkpoint, Note]:
    """Return what :func:`parse` does, and the note with its signatures."""
    note = open_note(data, verifiers)
    return parse_text(note.text), note


def parse(data: bytes, verifiers: Iterable[Verifier]) -> Checkpoint:
    """Return the checkpoint of a signed note.

    :raises IntegrityError: no trusted key signed it, a signature of a trusted key is wrong, or it is no checkpoint.
    """
    return parse_with_note(data, verifiers)[0]
