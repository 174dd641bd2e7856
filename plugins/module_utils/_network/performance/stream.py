# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The built-in bandwidth test: one TCP stream, counted by the side that receives. Bounded in time and bytes."""

from __future__ import annotations

import json
import socket
import time

from ..._core.errors import TimeoutExpired, UnavailableError
from .handshake import MOST_LINE

__all__ = ["GRACE_SECONDS", "read_count", "read_line", "receive", "send", "throughput"]

GRACE_SECONDS = 15
"""How much longer than agreed the other side is waited for."""
_CHUNK = 1 << 20


def send(peer: socket.socket, seconds: float, max_bytes: int | None) -> dict:
    """Send zeros until ``seconds`` or ``max_bytes`` are over; return what the receiver counted.

    :raises UnavailableError: the receiver stopped.
    :raises TimeoutExpired: it took nothing for :data:`GRACE_SECONDS`.
    """
    chunk = memoryview(bytes(_CHUNK))
    left = max_bytes
    end = time.monotonic() + seconds
    peer.settimeout(GRACE_SECONDS)
    try:
        while time.monotonic() < end and left != 0:
            sent = peer.send(chunk if left is None else chunk[:left])
            left = None if left is None else left - sent
        peer.shutdown(socket.SHUT_WR)
        return read_count(peer)
    except (socket.timeout, TimeoutError):
        raise TimeoutExpired(f"The receiver took nothing for {GRACE_SECONDS} seconds.") from None
    except OSError as error:
        raise UnavailableError(f"The receiver ended the connection: {error}.") from error


def receive(peer: socket.socket, seconds: float, max_bytes: int | None) -> dict:
    """Read until the sender ends; tell it, and return, ``{bytes, seconds, bits_per_second}``.

    The time runs from the first bytes to the last.

    :raises TimeoutExpired: the sender does not end :data:`GRACE_SECONDS` after the ``seconds`` that are agreed.
    :raises UnavailableError: it broke off, or sent more than ``max_bytes``.
    """
    buffer = bytearray(_CHUNK)
    total, began, last = 0, 0.0, 0.0
    end = time.monotonic() + seconds + GRACE_SECONDS
    try:
        while True:
            peer.settimeout(max(0.001, end - time.monotonic()))
            got = peer.recv_into(buffer)
            last = time.monotonic()
            began = began or last
            if not got:
                break
            total += got
            if max_bytes is not None and total > max_bytes:
                raise UnavailableError("The sender sends more than was agreed.")
        if not total:
            raise UnavailableError("The sender sent nothing.")
        counted = throughput(total, last - began)
        peer.sendall(json.dumps(counted).encode() + b"\n")
        return counted
    except (socket.timeout, TimeoutError):
        raise TimeoutExpired(f"The sender did not end within {seconds + GRACE_SECONDS:g} seconds.") from None
    except OSError as error:
        raise UnavailableError(f"The sender broke the connection: {error}.") from error


def throughput(size: int, seconds: float) -> dict:
    """Return ``{bytes, seconds, bits_per_second}``."""
    exact = round(seconds, 6)
    return {"bytes": size, "seconds": exact, "bits_per_second": round(size * 8 / exact) if exact > 0 else 0}


def read_count(peer: socket.socket) -> dict:
    """Read what the other side counted, as :func:`throughput` returns it.

    :raises OSError: the connection broke, or something else came.
    """
    try:
        said = json.loads(read_line(peer))
        return throughput(int(said["bytes"]), float(said["seconds"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ConnectionError("the other side sent no count") from error


def read_line(peer: socket.socket) -> bytes:
    """Read one line, byte by byte, so that nothing behind it is taken.

    :raises OSError: the connection broke, or the line is longer than :data:`MOST_LINE`.
    """
    line = b""
    while not line.endswith(b"\n"):
        part = peer.recv(1)
        if not part:
            raise ConnectionError("the other side closed the connection")
        line += part
        if len(line) > MOST_LINE:
            raise ConnectionError("the other side sent no line")
    return line
