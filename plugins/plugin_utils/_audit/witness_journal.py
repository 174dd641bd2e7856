# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The systemd journal as a witness: root owns it, so a user can't take back what it once told it; on a machine that
forwards its journal, neither can root.

Protocol: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/. A checkpoint is one datagram.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess

from ...module_utils._audit.proof.checkpoint import Checkpoint
from ...module_utils._core.errors import DependencyError, TimeoutExpired, UnavailableError

__all__ = ["MESSAGE_ID", "push", "read"]

MESSAGE_ID = "6b3f2a4f0c7d4b0e9c1f57a2d1e8c934"
"""Finds the checkpoints: ``journalctl MESSAGE_ID=...``."""

_MOST = 1000
_SECONDS = 20


def _field(name: str, value: bytes) -> bytes:
    """Return a field in the form that any bytes can have, also newlines."""
    return name.encode("ascii") + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"


def push(path: str, checkpoint: Checkpoint, note: bytes) -> None:
    """Send the signed checkpoint to the journal's socket without waiting.

    :raises UnavailableError: nobody listens there, or the journal's queue is full.
    """
    fields = {
        "MESSAGE": f"Audit log {checkpoint.origin}: {checkpoint.size} entries",
        "MESSAGE_ID": MESSAGE_ID,
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "scripts-toolkit-audit",
        "SCRIPTS_TOOLKIT_ORIGIN": checkpoint.origin,
        "SCRIPTS_TOOLKIT_SIZE": str(checkpoint.size),
    }
    data = b"".join(_field(name, value.encode()) for name, value in fields.items())
    data += _field("SCRIPTS_TOOLKIT_CHECKPOINT", note)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as sender:
        try:
            sender.sendto(data, path)
        except BlockingIOError:
            raise UnavailableError(f"The journal at {path} does not take messages now.") from None
        except OSError as error:
            hint = "Without systemd, leave journal out of the option witnesses."
            raise UnavailableError(f"There is no journal at {path}: {error.strerror}.", hint=hint) from None


def read(origin: str, uid: int, extra: tuple[str, ...] = ()) -> list[bytes]:
    """Return the signed checkpoints of the log that the journal holds, oldest first, the newest 1,000.

    Anybody may write to the journal: only what this user or root sent counts, which the journal knows by itself.

    :param extra: more arguments of journalctl, such as where another journal lies.
    :raises DependencyError: there is no journalctl.
    :raises UnavailableError, TimeoutExpired: it does not answer.
    """
    program = shutil.which("journalctl")
    if program is None:
        raise DependencyError("The journal can't be read: there is no journalctl here.")
    command = [program, "--quiet", "--no-pager", "--output=json", "--all", f"--lines={_MOST}", *extra]
    command += [
        f"MESSAGE_ID={MESSAGE_ID}",
        f"SCRIPTS_TOOLKIT_ORIGIN={origin}",
        f"_UID={uid}",
        *(["_UID=0"] * (uid != 0)),
    ]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
    except subprocess.TimeoutExpired:
        raise TimeoutExpired(f"journalctl did not answer within {_SECONDS} s.") from None
    if done.returncode:
        said = ascii(done.stderr.decode("utf-8", "replace").strip()[:200])[1:-1]
        raise UnavailableError(f"journalctl ended with status {done.returncode}: {said}")
    notes = []
    for line in done.stdout.splitlines():
        try:
            value = json.loads(line).get("SCRIPTS_TOOLKIT_CHECKPOINT")
        except (ValueError, AttributeError):
            continue
        if isinstance(value, str):
            notes.append(value.encode("utf-8", "replace"))
        elif isinstance(value, list) and all(isinstance(byte, int) and 0 <= byte < 256 for byte in value):
            notes.append(bytes(value))  # how journalctl shows what it does not take for text
    return notes
