# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Witnesses: hand them the newest checkpoint of the log, and read back which they hold.

The newest checkpoint stands for all before it, so what waits for a witness is never more than one; it catches up by the
consistency proof from what it holds.
"""

from __future__ import annotations

import base64
import functools
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...module_utils._audit.metrics.figures import WITNESS_DIRECTORY
from ...module_utils._audit.metrics.targets import Targets, WitnessTarget, load_targets, parse_witness
from ...module_utils._audit.proof.checkpoint import CHECKPOINT_NAME, Checkpoint, parse_text
from ...module_utils._audit.proof.merkle import consistency_proof
from ...module_utils._audit.proof.tiles import TileReader
from ...module_utils._audit.store.journal import make_private_directory
from ...module_utils._core.errors import IntegrityError, ToolkitError, UnavailableError
from ...module_utils._core.files import read_bytes, write_atomic
from ...module_utils._core.outcomes import error_from_os
from . import standing, witness_directory, witness_journal

__all__ = ["Newest", "Reading", "announce", "newest_checkpoint", "push", "read_back", "witnessed"]

_TRIES = 3


@dataclass(frozen=True)
class Newest:
    """The newest checkpoint with its bytes."""

    checkpoint: Checkpoint
    note: bytes

    @property
    def root(self) -> str:
        """The root in base64."""
        return base64.b64encode(self.checkpoint.root).decode("ascii")


@dataclass
class Reading:
    """What a witness holds.

    :param notes: signed checkpoints, oldest first. Nothing but a witness's own cosignature was verified.
    :param size: entries that it says to have cosigned, where it can be asked only that.
    :param error: why it can't be read, or what is wrong with what it says.
    """

    target: WitnessTarget
    notes: list[bytes] = field(default_factory=list)
    size: int | None = None
    error: ToolkitError | None = None


def newest_checkpoint(directory: str) -> Newest | None:
    """Return the log's newest checkpoint, ``None`` where there is none yet.

    :raises IntegrityError: the file is no checkpoint. Its signatures are not verified here.
    """
    note = read_bytes(os.path.join(directory, CHECKPOINT_NAME))
    if note is None:
        return None
    text, separator, _signatures = note.rpartition(b"\n\n")
    if not separator:
        raise IntegrityError(f"{os.path.join(directory, CHECKPOINT_NAME)} is no signed checkpoint.")
    return Newest(parse_text(text + b"\n"), note)


def _cosigned_path(directory: str, target: WitnessTarget) -> str:
    return os.path.join(directory, WITNESS_DIRECTORY, f"{target.name}.note")


def push(directory: str, target: WitnessTarget, newest: Newest, known: int) -> dict[str, Any]:
    """Hand the checkpoint to a witness; return what it holds now, ``{size, root}`` and perhaps ``cosigned``.

    :param known: entries under the checkpoint that it held before, as far as we know.
    :raises ToolkitError: it did not take it.
    """
    if target.kind == "journal":
        witness_journal.push(target.path, newest.checkpoint, newest.note)
    elif target.kind == "directory":
        witness_directory.push(target.path, newest.checkpoint, newest.note)
    else:
        return _push_http(directory, target, newest, known)
    return {"size": newest.checkpoint.size, "root": newest.root}


def _push_http(directory: str, target: WitnessTarget, newest: Newest, known: int) -> dict[str, Any]:
    from . import witness_http  # with it come HTTP and TLS, which a run has no use for

    for _try in range(_TRIES):
        size = newest.checkpoint.size
        proof = functools.partial(consistency_proof, new=size, node=TileReader(directory, size).node)
        try:
            note, moment = witness_http.push(target, newest.note, size, known, proof)
        except IntegrityError:
            # A run may have made the log longer meanwhile, and replaced the tiles at its edge.
            again = newest_checkpoint(directory)
            if again is None or again.note == newest.note:
                raise
            newest = again
            continue
        path = _cosigned_path(directory, target)
        make_private_directory(os.path.dirname(path))
        write_atomic(path, note)
        return {"size": size, "root": newest.root, "cosigned": moment}
    raise UnavailableError(f"The log grew faster than {target.name} could be told.")


def announce(directory: str, targets: Targets | None = None) -> None:
    """Tell the journals of the newest checkpoint, at once and in this process: a datagram that nobody waits for.

    What fails is noted for the next time and never raised: a run must not notice.
    """
    try:
        newest = newest_checkpoint(directory)
        targets = targets or load_targets(directory)
        for target in targets.witnesses if newest else ():
            if target.kind != "journal":
                continue
            state = standing.load(directory, WITNESS_DIRECTORY, target.name, target.text)
            if state.has(newest.checkpoint.size, newest.root):
                continue
            now = int(time.time())
            try:
                state.succeeded(now, push(directory, target, newest, 0))
            except ToolkitError as error:
                state.owe(newest.checkpoint.size, now)
                state.failed(error, now)
            standing.save(directory, WITNESS_DIRECTORY, target.name, state)
    except (OSError, ToolkitError):
        return  # a log that can't be read or written is told by those whose work that is


def _read(directory: str, target: WitnessTarget, newest: Newest) -> Reading:
    reading = Reading(target)
    origin = newest.checkpoint.origin
    if target.kind == "journal":
        reading.notes = witness_journal.read(origin, os.stat(directory).st_uid)
    elif target.kind == "directory":
        reading.notes = witness_directory.read(target.path, origin)
    else:
        from . import witness_http  # see above

        kept = read_bytes(_cosigned_path(directory, target))
        if kept is not None:
            lines = kept.rpartition(b"\n\n")[2]
            witness_http.cosigned(target, kept, lines)
            reading.notes = [kept]
        reading.size = witness_http.held(target, newest.note)
    return reading


def read_back(directory: str, settings: Mapping | None = None) -> list[Reading]:
    """Ask every witness which checkpoints of this log it holds.

    :param settings: has ``witnesses``; ``None`` for those of the last run.
    """
    targets = load_targets(directory)
    if settings is not None:
        targets.witnesses = [parse_witness(text) for text in settings.get("witnesses") or ()]
    newest = newest_checkpoint(directory)
    readings = []
    for target in targets.witnesses if newest else ():
        try:
            readings.append(_read(directory, target, newest))
        except ToolkitError as error:
            readings.append(Reading(target, error=error))
        except OSError as error:
            readings.append(Reading(target, error=error_from_os(error)))
    return readings


def witnessed(directory: str, settings: Mapping | None = None) -> list[bytes]:
    """Return the signed checkpoints of this log that its witnesses hold; see :func:`read_back` for more."""
    return [note for reading in read_back(directory, settings) for note in reading.notes]
