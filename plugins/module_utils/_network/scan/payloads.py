# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is sent to a UDP port so that its service answers: a harmless, well-formed first request of its protocol.

A service stays silent when it gets something else, and silence can't be told from a dropped packet. None of the
requests changes anything or tries a password. Each is built for one use, with fresh identifiers.
"""

from __future__ import annotations

import os
import struct

__all__ = ["request_for"]


def _dns() -> bytes:
    """A query for the name servers of the root (RFC 1035, section 4.1), recursion desired."""
    return os.urandom(2) + b"\x01\x00" + struct.pack("!4H", 1, 0, 0, 0) + b"\x00" + struct.pack("!2H", 2, 1)


def _mdns() -> bytes:
    """A query for the services of the host (RFC 6763, section 9); the class's top bit asks for a unicast answer."""
    name = b"".join(bytes([len(label)]) + label for label in (b"_services", b"_dns-sd", b"_udp", b"local")) + b"\x00"
    return struct.pack("!6H", 0, 0, 1, 0, 0, 0) + name + struct.pack("!2H", 12, 0x8001)


def _ntp() -> bytes:
    """A client's request of version 4 (RFC 5905, section 7.3)."""
    return b"\x23" + bytes(39) + os.urandom(8)


def _snmp() -> bytes:
    """The discovery of the engine ID by SNMPv3 (RFC 3414, section 4), which needs no community and no user."""
    message_id = b"\x02\x04" + struct.pack("!I", int.from_bytes(os.urandom(4), "big") >> 1)
    header = _ber(0x30, message_id + b"\x02\x03\x00\xff\xe3" + b"\x04\x01\x04" + b"\x02\x01\x03")
    security = _ber(0x04, _ber(0x30, b"\x04\x00\x02\x01\x00\x02\x01\x00\x04\x00\x04\x00\x04\x00"))
    get_nothing = _ber(0xA0, message_id + b"\x02\x01\x00\x02\x01\x00\x30\x00")
    return _ber(0x30, b"\x02\x01\x03" + header + security + _ber(0x30, b"\x04\x00\x04\x00" + get_nothing))


def _ber(tag: int, content: bytes) -> bytes:
    """One element of BER, of less than 128 bytes."""
    return bytes([tag, len(content)]) + content


def _rpc(program: int, version: int) -> bytes:
    """A call of procedure 0, which does nothing (RFC 5531, sections 9 and 12)."""
    return os.urandom(4) + struct.pack("!5I", 0, 2, program, version, 0) + bytes(16)


def _netbios() -> bytes:
    """A node status request for all names (RFC 1002, section 4.2.17)."""
    return os.urandom(2) + struct.pack("!5H", 0, 1, 0, 0, 0) + b"\x20CK" + b"A" * 30 + b"\x00" + b"\x00\x21\x00\x01"


def _cldap() -> bytes:
    """A search for the root DSE (RFC 4511, section 4.5), without attributes."""
    filter_present = b"\x87\x0bobjectClass"
    search = b"\x04\x00" + b"\x0a\x01\x00" * 2 + b"\x02\x01\x00" * 2 + b"\x01\x01\x00" + filter_present
    return _ber(0x30, b"\x02\x01\x01" + _ber(0x63, search + _ber(0x30, b"\x04\x031.1")))


def _quic() -> bytes:
    """A long header of a version that is reserved to make servers list theirs (RFC 9000, sections 6 and 15)."""
    start = b"\xc0\x1a\x2a\x3a\x4a" + b"\x08" + os.urandom(8) + b"\x08" + os.urandom(8)
    return start.ljust(1200, b"\x00")


def _openvpn() -> bytes:
    """A client's hard reset (opcode 7, key 0) with a session of its own; a server with tls-auth ignores it."""
    return b"\x38" + os.urandom(8) + b"\x00" + bytes(4)


def _ssdp() -> bytes:
    """A search for root devices (UPnP Device Architecture 1.1, section 1.3.2)."""
    lines = (
        "M-SEARCH * HTTP/1.1",
        "HOST: 239.255.255.250:1900",
        'MAN: "ssdp:discover"',
        "MX: 1",
        "ST: upnp:rootdevice",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii")


def _sip() -> bytes:
    """What are your options (RFC 3261, section 11)."""
    mark = os.urandom(6).hex()
    lines = (
        "OPTIONS sip:scan@localhost SIP/2.0",
        f"Via: SIP/2.0/UDP localhost;branch=z9hG4bK{mark};rport",
        "Max-Forwards: 0",
        f"From: <sip:scan@localhost>;tag={mark}",
        "To: <sip:scan@localhost>",
        f"Call-ID: {mark}@localhost",
        "CSeq: 1 OPTIONS",
        "Content-Length: 0",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii")


def _stun() -> bytes:
    """A binding request (RFC 8489, section 5)."""
    return b"\x00\x01\x00\x00\x21\x12\xa4\x42" + os.urandom(12)


def _memcached() -> bytes:
    """The version, in one datagram (memcached's protocol.txt, "UDP protocol")."""
    return os.urandom(2) + b"\x00\x00\x00\x01\x00\x00" + b"version\r\n"


def _coap() -> bytes:
    """An empty confirmable message, which is reset (RFC 7252, section 4.3)."""
    return b"\x40\x00" + os.urandom(2)


_REQUESTS = {
    53: _dns,
    111: lambda: _rpc(100000, 2),
    123: _ntp,
    137: _netbios,
    161: _snmp,
    389: _cldap,
    443: _quic,
    1194: _openvpn,
    1900: _ssdp,
    2049: lambda: _rpc(100003, 3),
    3478: _stun,
    5060: _sip,
    5353: _mdns,
    5683: _coap,
    11211: _memcached,
}


def request_for(port: int) -> bytes:
    """Return what to send to a UDP port; where no protocol is known, no bytes at all, which is a datagram as well."""
    build = _REQUESTS.get(port)
    return build() if build else b""
