# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the two sides of a bandwidth test know each other and agree, in three lines of JSON on one TCP connection.

The server sends a nonce. The client answers with what it wants and proves that it has the token. The server answers
with what will be done and proves the same. The token itself never crosses the network (HMAC, RFC 2104).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import asdict, dataclass

from ..._core.errors import IntegrityError, PermissionDenied

__all__ = ["LEAST_TOKEN", "MOST_LINE", "Terms", "accept", "agreed", "confirm", "greeting", "request"]

LEAST_TOKEN = 16
MOST_LINE = 2048
_PROTOCOL = "scripts.toolkit bandwidth 1"


@dataclass(frozen=True)
class Terms:
    """What a side wants, or what both do.

    :param direction: ``upload`` from the client to the server, or ``download``.
    :param seconds: the longest time to send.
    :param max_bytes: the most bytes to send, ``None`` for no bound but the time.
    :param iperf3: whether iperf3 is (wanted and) there.
    """

    direction: str
    seconds: float
    max_bytes: int | None
    iperf3: bool

    def within(self, own: Terms) -> Terms:
        """Return what stays inside the bounds of both; the direction is the client's, whose terms these are."""
        bounds = [bound for bound in (self.max_bytes, own.max_bytes) if bound is not None]
        most = min(bounds) if bounds else None
        # iperf3 ends after whole seconds or after an amount, but can't be bounded by both.
        seconds = min(self.seconds, own.seconds)
        both = self.iperf3 and own.iperf3 and most is None and seconds >= 1
        return Terms(self.direction, seconds, most, both)


def greeting() -> bytes:
    """Return the server's first line."""
    return _line({"protocol": _PROTOCOL, "nonce": secrets.token_hex(16)})


def request(token: str, first: bytes, wanted: Terms) -> bytes:
    """Return the client's line to the server's ``first`` one.

    :raises IntegrityError: that was no server of this module.
    """
    server = _parse(first)
    if server.get("protocol") != _PROTOCOL:
        raise IntegrityError("What answers there is no bandwidth server of this module.", hint="See address and port.")
    said = {"nonce": secrets.token_hex(16), "terms": asdict(wanted)}
    return _line({**said, "proof": _proof(token, "client", first, said)})


def accept(token: str, first: bytes, asked: bytes) -> Terms | None:
    """Return what the client asks for in its line ``asked``; ``None`` if it has not got the token."""
    said = _parse(asked)
    if not _proven(token, "client", first, said):
        return None
    return Terms(**said["terms"])


def confirm(token: str, asked: bytes, terms: Terms) -> bytes:
    """Return the server's second line, which says what will be done."""
    said = {"terms": asdict(terms)}
    return _line({**said, "proof": _proof(token, "server", asked, said)})


def agreed(token: str, asked: bytes, last: bytes) -> Terms:
    """Return what will be done, from the server's second line ``last``.

    :raises PermissionDenied: the two sides have not got the same token.
    """
    said = _parse(last)
    if not _proven(token, "server", asked, said):
        raise PermissionDenied(
            "The server and this client have not got the same token.", hint="Give both tasks the same bandwidth.token."
        )
    return Terms(**said["terms"])


def _proven(token: str, side: str, before: bytes, said: dict) -> bool:
    """Take the proof out of what a ``side`` ``said``; return whether it is right."""
    proof = str(said.pop("proof", "")).encode("utf-8", "replace")
    return hmac.compare_digest(proof, _proof(token, side, before, said).encode())


def _proof(token: str, side: str, before: bytes, said: dict) -> str:
    text = "\n".join([side, before.decode("utf-8", "replace"), json.dumps(said, sort_keys=True)])
    return hmac.new(token.encode(), text.encode(), hashlib.sha256).hexdigest()


def _line(said: dict) -> bytes:
    return json.dumps(said).encode() + b"\n"


def _parse(line: bytes) -> dict:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
