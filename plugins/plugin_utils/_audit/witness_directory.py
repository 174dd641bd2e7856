# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another directory as a witness: the mount of another host, or one that somebody else owns.

``<origin>.checkpoints`` there is only ever appended to (so ``chattr +a`` or an append-only export suits it), a line of
JSON for each checkpoint: ``{"note": ..., "time": seconds since the epoch}``. ``<origin>.checkpoint`` is the newest.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time

from ...module_utils._audit.proof.checkpoint import Checkpoint
from ...module_utils._core.errors import UnavailableError
from ...module_utils._core.files import fsync_directory, write_atomic

__all__ = ["push", "read"]

_MOST = 1000
_TAIL = 4 << 20
_MODE = 0o644


def _path(directory: str, origin: str) -> str:
    digest = hashlib.sha256(origin.encode("utf-8", "replace")).hexdigest()[:8]
    return os.path.join(directory, f"{re.sub(r'[^A-Za-z0-9.-]+', '-', origin).strip('.-')[:80]}-{digest}.checkpoint")


def _unavailable(directory: str, error: OSError) -> UnavailableError:
    hint = "It must exist; a mount that is missing is not made up for."
    return UnavailableError(f"The directory {directory} can't be used: {error.strerror}.", hint=hint)


def push(directory: str, checkpoint: Checkpoint, note: bytes) -> None:
    """Append the signed checkpoint and make it the newest, durably.

    :raises UnavailableError: the directory is missing, full or read-only.
    """
    path = _path(directory, checkpoint.origin)
    line = json.dumps({"note": note.decode("utf-8"), "time": int(time.time())}, sort_keys=True).encode("ascii") + b"\n"
    try:
        descriptor = os.open(path + "s", os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = b"\n" + line  # what broke off before stays a line of its own
            if os.write(descriptor, line) != len(line):
                raise UnavailableError(f"The directory {directory} is full.")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        fsync_directory(directory)
        write_atomic(path, note, mode=_MODE)
    except OSError as error:
        raise _unavailable(directory, error) from None


def read(directory: str, origin: str) -> list[bytes]:
    """Return the signed checkpoints of the log that the directory holds, oldest first, the newest 1,000.

    :raises UnavailableError: it can't be read.
    """
    path = _path(directory, origin)
    notes: list[bytes] = []
    try:
        with open(path + "s", "rb") as handle:
            size = handle.seek(0, os.SEEK_END)
            handle.seek(max(0, size - _TAIL))
            lines = handle.read().split(b"\n")
        for line in lines[-_MOST - 1 :]:
            try:
                notes.append(str(json.loads(line)["note"]).encode("utf-8"))
            except (ValueError, KeyError, TypeError):
                continue  # the last line may have broken off, the first was cut
        with open(path, "rb") as handle:
            newest = handle.read(1 << 20)
    except FileNotFoundError as error:
        if not os.path.isdir(directory):
            raise _unavailable(directory, error) from None
        return notes
    except OSError as error:
        raise _unavailable(directory, error) from None
    return notes if newest in notes else [*notes, newest]
