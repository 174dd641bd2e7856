# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checkpoints that somebody kept: the small memory of ``verify`` itself, and what lies in a witness's directory.

The memory is one JSON file per log, outside of the log's directory, so that an old copy of that directory does not
bring its memory along. It holds the keys that were trusted and up to 64 signed checkpoints: the newest ones closely,
older ones ever more sparsely, and always the first.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass

from ..._core.errors import IntegrityError, NotFoundError, ValidationError
from ..._core.files import read_bytes, write_atomic
from ..._core.paths import base_directory
from ..._core.signed_note import Verifier
from ..store.journal import make_private_directory
from .checkpoint import Checkpoint, parse_text, parse_with_note

__all__ = ["Kept", "Memory", "default_memory", "witnessed"]

_KEPT = 64
_CLOSE = 24
_MAX_FILE = 64 << 20
_DASH = "\u2014 ".encode()


@dataclass(frozen=True)
class Kept:
    """A checkpoint that was kept.

    :param where: a name for messages.
    :param note: its signed bytes.
    """

    where: str
    note: bytes

    def head(self) -> Checkpoint:
        """Return what the note says, whoever signed it.

        :raises IntegrityError: it is no checkpoint.
        """
        text, separator, _lines = self.note.rpartition(b"\n\n")
        if not separator:
            raise IntegrityError("It is no signed checkpoint.")
        return parse_text(text + b"\n")


def default_memory(directory: str) -> str:
    """Return where the memory of the log in ``directory`` lies by default."""
    name = hashlib.sha256(os.path.realpath(directory).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return os.path.join(base_directory("state"), "audit-memory", f"{name}.json")


class Memory:
    """The checkpoints and keys that earlier verifications found right.

    :param path: of the file; it need not exist yet.
    :raises IntegrityError: it is damaged.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.origin = ""
        self.verifiers: list[Verifier] = []
        self.kept: list[Kept] = []
        self._seen: dict[bytes, int] = {}
        data = read_bytes(path)
        if data is None:
            return
        try:
            found = json.loads(data)
            self.origin = str(found["origin"])
            self.verifiers = [Verifier.from_vkey(str(vkey)) for vkey in found["vkeys"]]
            for each in found["checkpoints"]:
                note = str(each["note"]).encode("utf-8")
                head, _note = parse_with_note(note, self.verifiers)
                self.kept.append(Kept(f"the remembered checkpoint of {head.size} entries", note))
                self._seen[note] = int(each["seen"])
        except (ValueError, KeyError, TypeError, IntegrityError, ValidationError) as error:
            raise IntegrityError(
                f"The remembered checkpoints in {path} are damaged: {error}",
                hint="Take the file from a backup; removing it gives up the comparison with the past.",
            ) from error

    def remember(self, origin: str, verifiers: Iterable[Verifier], note: bytes) -> None:
        """Keep a checkpoint that was found right, durably (0600).

        :raises OSError: the file can't be written.
        """
        self.origin = origin
        self.verifiers = list({verifier.vkey: verifier for verifier in [*self.verifiers, *verifiers]}.values())
        if note not in self._seen:
            self._seen[note] = int(time.time())
            self.kept.append(Kept("", note))
        ordered = sorted(self.kept, key=lambda kept: kept.head().size)
        self.kept = _thinned(ordered)
        make_private_directory(os.path.dirname(os.path.abspath(self.path)))
        data = {
            "origin": origin,
            "vkeys": [verifier.vkey for verifier in self.verifiers],
            "checkpoints": [{"note": kept.note.decode("utf-8"), "seen": self._seen[kept.note]} for kept in self.kept],
        }
        write_atomic(self.path, json.dumps(data, indent=1, sort_keys=True).encode("ascii") + b"\n")


def _thinned(kept: list[Kept]) -> list[Kept]:
    while len(kept) > _KEPT:
        old = kept[: len(kept) - _CLOSE]
        # Of the old ones, the one goes whose neighbours are nearest to each other for their age.
        newest = kept[-1].head().size + 1
        sizes = [each.head().size for each in old]
        spread = [(sizes[at + 1] - sizes[at - 1]) / (newest - sizes[at]) for at in range(1, len(old) - 1)]
        del kept[1 + spread.index(min(spread))]
    return kept


def witnessed(path: str) -> list[Kept]:
    """Return every signed checkpoint in a file or, with its subdirectories, a directory.

    A file holds one signed note, several one after the other, or JSON (lines) whose values hold some. What holds none
    is passed over.

    :raises NotFoundError: there is no such file or directory.
    """
    if not os.path.exists(path):
        raise NotFoundError(f"There is no {path} with checkpoints of a witness.")
    if os.path.isfile(path):
        return _in_file(path)
    found = []
    for folder, names, files in os.walk(path):
        names.sort()
        for name in sorted(files):
            full = os.path.join(folder, name)
            if stat.S_ISREG(os.lstat(full).st_mode):
                found += _in_file(full)
    return found


def _in_file(path: str) -> list[Kept]:
    if os.path.getsize(path) > _MAX_FILE:
        return []
    data = read_bytes(path) or b""
    texts = []
    if data.lstrip()[:1] in (b"{", b"["):
        for line in [data] if _is_json(data) else data.splitlines():
            try:
                texts += _strings(json.loads(line))
            except ValueError:
                continue
    else:
        texts.append(data)
    notes = [note for text in texts for note in _notes(text)]
    return [Kept(path, note) for note in dict.fromkeys(notes)]


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True


def _strings(value: object) -> list[bytes]:
    if isinstance(value, str):
        return [value.encode("utf-8", "replace")]
    if isinstance(value, dict):
        value = list(value.values())
    return [text for each in value for text in _strings(each)] if isinstance(value, list) else []


def _notes(data: bytes) -> list[bytes]:
    """Return the signed checkpoints in a text: three lines or more, an empty one, signature lines."""
    found, lines = [], data.split(b"\n")
    begin = 0
    for at, line in enumerate(lines):
        signed = line.startswith(_DASH)
        if signed and not (at + 1 < len(lines) and lines[at + 1].startswith(_DASH)):
            block = lines[begin : at + 1]
            while block and not block[0]:
                block.pop(0)
            kept = Kept("", b"\n".join(block) + b"\n")
            try:
                kept.head()
            except IntegrityError:
                pass
            else:
                found.append(kept.note)
            begin = at + 1
    return found
