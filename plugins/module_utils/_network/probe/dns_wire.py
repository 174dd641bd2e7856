# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The DNS's wire format (RFC 1035, EDNS of RFC 6891), as much as a client needs."""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass, field

__all__ = ["RCODES", "RECORD_TYPES", "Answer", "decode", "encode", "reverse_name"]

RECORD_TYPES = {"A": 1, "NS": 2, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33}
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}

_QR, _TC, _RD, _RA, _AD = 0x8000, 0x0200, 0x0100, 0x0080, 0x0020
_OPT = 41
_UDP_SIZE = 1232
"""Bytes of an answer that fit into one packet nearly everywhere (DNS flag day 2020)."""
_DO = 0x8000


@dataclass
class Answer:
    """A server's answer: ``rcode``, the ``values`` of the type asked for, the least ``ttl`` of them in seconds, and
    whether the server says that it verified them by DNSSEC (``authentic``)."""

    rcode: str
    values: list[str] = field(default_factory=list)
    ttl: int | None = None
    authentic: bool = False
    truncated: bool = False


def encode(name: str, record: str, dnssec: bool = False) -> tuple[int, bytes]:
    """Return the number of a question and its packet. It asks for the AD flag (RFC 6840)."""
    number = struct.unpack("!H", os.urandom(2))[0]
    header = struct.pack("!HHHHHH", number, _RD | _AD, 1, 0, 0, 1)
    question = _encode_name(name) + struct.pack("!HH", RECORD_TYPES[record], 1)
    options = b"\0" + struct.pack("!HHIH", _OPT, _UDP_SIZE, _DO if dnssec else 0, 0)
    return number, header + question + options


def decode(packet: bytes, number: int, name: str, record: str) -> Answer:
    """Return the answer to a question.

    :raises ValueError: it is none, or to another question.
    """
    try:
        return _decode(packet, number, name, record)
    except (struct.error, IndexError):
        raise ValueError("the answer ends too early") from None


def reverse_name(address: str) -> str:
    """Return the name whose PTR record names an address."""
    plain = address.partition("%")[0]
    if ":" in plain:
        digits = socket.inet_pton(socket.AF_INET6, plain).hex()
        return ".".join(reversed(digits)) + ".ip6.arpa"
    return ".".join(reversed(plain.split("."))) + ".in-addr.arpa"


def _encode_name(name: str) -> bytes:
    labels = [label.encode("ascii") for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def _decode(packet: bytes, number: int, name: str, record: str) -> Answer:
    got, flags, questions, answers, _authority, _additional = struct.unpack_from("!HHHHHH", packet)
    if got != number or not flags & _QR:
        raise ValueError("the answer is to another question")
    offset = 12
    for _question in range(questions):
        asked, offset = _read_name(packet, offset)
        kind = struct.unpack_from("!H", packet, offset)[0]
        offset += 4
        if asked.lower() != name.lower().rstrip(".") or kind != RECORD_TYPES[record]:
            raise ValueError("the answer is to another question")
    rcode = RCODES.get(flags & 0x0F, f"RCODE{flags & 0x0F}")
    answer = Answer(rcode, authentic=bool(flags & _AD), truncated=bool(flags & _TC))
    for _record in range(0 if answer.truncated else answers):
        _owner, offset = _read_name(packet, offset)
        kind, _class, ttl, length = struct.unpack_from("!HHIH", packet, offset)
        offset += 10
        if offset + length > len(packet):
            raise ValueError("the answer ends too early")
        if kind == RECORD_TYPES[record]:
            answer.values.append(_value(packet, offset, length, record))
            answer.ttl = ttl if answer.ttl is None else min(answer.ttl, ttl)
        offset += length
    return answer


def _value(packet: bytes, offset: int, length: int, record: str) -> str:
    data = packet[offset : offset + length]
    if record in ("A", "AAAA"):
        if length != (4 if record == "A" else 16):
            raise ValueError(f"a record {record} has {length} bytes")
        return socket.inet_ntop(socket.AF_INET if record == "A" else socket.AF_INET6, data)
    if record == "MX":
        return f"{struct.unpack('!H', data[:2])[0]} {_read_name(packet, offset + 2)[0]}"
    if record == "SRV":
        priority, weight, port = struct.unpack("!HHH", data[:6])
        return f"{priority} {weight} {port} {_read_name(packet, offset + 6)[0]}"
    if record == "TXT":
        parts = []
        while data:
            parts.append(data[1 : 1 + data[0]])
            data = data[1 + data[0] :]
        return b"".join(parts).decode("utf-8", "replace")
    return _read_name(packet, offset)[0]


def _read_name(packet: bytes, offset: int) -> tuple[str, int]:
    """Return a name and where what follows it begins. Pointers lead backwards only, so that reading ends."""
    labels: list[str] = []
    after = None
    limit = offset
    while True:
        length = packet[offset]
        if length >= 0xC0:
            after = offset + 2 if after is None else after
            offset = struct.unpack_from("!H", packet, offset)[0] & 0x3FFF
            if offset >= limit:
                raise ValueError("a name of the answer points forwards")
            limit = offset
            continue
        offset += 1
        if not length:
            return ".".join(labels), offset if after is None else after
        labels.append(packet[offset : offset + length].decode("ascii", "replace"))
        offset += length
        if len(labels) > 127:
            raise ValueError("a name of the answer is too long")
