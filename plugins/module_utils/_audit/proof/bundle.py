# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Proofs that can be handed out: an entry, its place in the log, and the signed checkpoint (https://c2sp.org/tlog-proof).

The extra data of a proof is the entry itself, so that one file is all that it takes. The proofs of a run follow one
another in one file; each begins with its own first line and is a whole proof.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ..._core.errors import ConflictError, IntegrityError, NotFoundError
from ..._core.files import read_bytes
from ..._core.signed_note import Note, Verifier, decode_base64
from ..store.segments import blocks
from .checkpoint import CHECKPOINT_NAME, Checkpoint, parse_with_note
from .keys import Keyring
from .merkle import inclusion_proof, leaf_hash, verify_inclusion
from .scan import PLACEHOLDER
from .tiles import TileReader

__all__ = ["Proof", "Proven", "check", "entries_at", "entries_of", "parse_proofs", "prove"]

_FIRST_LINE = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})", re.ASCII)


@dataclass(frozen=True)
class Proof:
    """That an entry is in the log.

    :param index: of the entry.
    :param hashes: from the leaf's sibling up to the root's child.
    :param note: the signed checkpoint.
    :param extra: the entry's line without its newline, or ``None``.
    """

    index: int
    hashes: tuple[bytes, ...]
    note: bytes
    extra: bytes | None = None

    def encode(self) -> bytes:
        """Return the bytes of the file."""
        lines = [_FIRST_LINE]
        if self.extra is not None:
            lines.append(f"extra {base64.b64encode(self.extra).decode('ascii')}")
        lines.append(f"index {self.index}")
        lines += [base64.b64encode(digest).decode("ascii") for digest in self.hashes]
        return "".join(f"{line}\n" for line in [*lines, ""]).encode("ascii") + self.note


@dataclass(frozen=True)
class Proven:
    """What a proof showed: the entry ``index`` was ``entry`` in the log of ``checkpoint``, which ``note`` signs."""

    index: int
    entry: bytes
    checkpoint: Checkpoint
    note: Note

    @property
    def record(self) -> dict:
        """The entry's fields; none where it is no JSON object."""
        try:
            found = json.loads(self.entry)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def parse_proofs(data: bytes) -> list[Proof]:
    """Return the proofs of a file, one after the other.

    :raises IntegrityError: it is not made of proofs.
    """
    first = _FIRST_LINE.encode("ascii") + b"\n"
    if not data.startswith(first):
        raise IntegrityError(f"This is no proof: its first line is not {_FIRST_LINE}.")
    parts = (b"\n" + data).split(b"\n" + first)[1:]
    return [_parse(part if at == len(parts) - 1 else part + b"\n") for at, part in enumerate(parts)]


def _parse(data: bytes) -> Proof:
    """Return the proof whose lines after the first are ``data``."""
    head, separator, note = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise IntegrityError("The proof has characters that belong into no proof.") from error
    extra = decode_base64(lines.pop(0)[6:]) if lines[0].startswith("extra ") else None
    index = _INDEX.fullmatch(lines[0]) if lines else None
    if not separator or index is None:
        raise IntegrityError("The proof has no index, or no checkpoint.")
    hashes = tuple(decode_base64(line) for line in lines[1:])
    if any(len(digest) != 32 for digest in hashes):
        raise IntegrityError("A hash in the proof is no SHA-256.")
    return Proof(int(index[1]), hashes, note, extra)


def check(proof: Proof, verifiers: Iterable[Verifier], entry: bytes | None = None) -> Proven:
    """Check a proof with nothing but the keys that are trusted.

    :param entry: the entry's line without its newline, for a proof that does not hold it.
    :raises IntegrityError: it does not prove it.
    """
    line = proof.extra if entry is None else entry
    if line is None:
        raise IntegrityError("The proof does not hold its entry.", hint="Give it with --entry.")
    checkpoint, note = parse_with_note(proof.note, verifiers)
    verify_inclusion(leaf_hash(line), proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    return Proven(proof.index, line, checkpoint, note)


def entries_of(
    directory: str, run_id: str, progress: Callable[[int], object] | None = None
) -> Iterator[tuple[int, bytes]]:
    """Yield ``(index, line)`` of the entries of a run, as the log has them.

    :param progress: called with the number of entries that were looked at.
    """
    mark = b'"run_id":' + json.dumps(run_id).encode("ascii")
    for first, lines in blocks(directory, on_gap=lambda _first, _stop: None):
        for index, line in enumerate(lines, first):
            if mark in line and _run_of(line) == run_id:
                yield index, line
        if progress is not None:
            progress(first + len(lines))


def entries_at(directory: str, index: int) -> Iterator[tuple[int, bytes]]:
    """Yield ``(index, line)`` of one entry; nothing where there is none, or not any more."""
    for first, lines in blocks(directory, index, index + 1, lambda _first, _stop: None):
        yield from enumerate(lines, first)


def _run_of(line: bytes) -> str | None:
    try:
        return json.loads(line).get("run_id")
    except (ValueError, AttributeError):
        return None


def prove(directory: str, entries: Iterable[tuple[int, bytes]]) -> Iterator[Proof]:
    """Yield the proof of each entry under the newest checkpoint. A proof that would not hold is not given.

    :param entries: ``(index, line)``.
    :raises NotFoundError: the log has no checkpoint; an entry was erased.
    :raises ConflictError: no checkpoint covers an entry yet.
    :raises IntegrityError: the log is damaged where it is needed.
    """
    note = read_bytes(os.path.join(directory, CHECKPOINT_NAME))
    if note is None:
        raise NotFoundError(f"The log in {directory} has no signed checkpoint.")
    verifiers = Keyring(directory).verifiers()
    checkpoint, _note = parse_with_note(note, verifiers)
    reader = TileReader(directory, checkpoint.size)
    for index, line in entries:
        if PLACEHOLDER.fullmatch(line):
            raise NotFoundError(f"Entry {index} was erased; only its hash is left.")
        if index >= checkpoint.size:
            hint = "toolkit audit integrate signs what is there."
            raise ConflictError(f"No checkpoint covers entry {index} yet.", hint=hint)
        try:
            proof = Proof(index, tuple(inclusion_proof(index, checkpoint.size, reader.node)), note, line)
            verify_inclusion(leaf_hash(line), index, checkpoint.size, proof.hashes, checkpoint.root)
        except IntegrityError as error:
            hint = "toolkit audit verify says what is wrong."
            raise IntegrityError(f"Entry {index} can't be proved: {error.message}", hint=hint) from error
        yield proof
