# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of the type ssh: the banner, and the host key with which a server answers a key exchange (RFC 4253, 8731).

The exchange goes as far as the server's answer. Its signature is not verified, as ``ssh-keyscan`` does not: that the
fingerprint is the expected one shows which server answers, unless somebody pretends to be it on purpose.
"""

from __future__ import annotations

import base64
import hashlib
import os
import struct

from .job import Job
from .talk import Broken, Seen, Stream, connect

__all__ = ["ssh"]

_BANNER = b"SSH-2.0-scripts.toolkit\r\n"
_KEX = "curve25519-sha256,curve25519-sha256@libssh.org"
_KEYS = "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256,ssh-rsa"
_SIGNED_BY = {"ssh-rsa": "rsa-sha2-512,rsa-sha2-256,ssh-rsa"}
_CIPHERS = "chacha20-poly1305@openssh.com,aes128-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com"
_MACS = "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512,hmac-sha1"
_DISCONNECT, _IGNORE, _DEBUG, _KEXINIT, _ECDH_INIT, _ECDH_REPLY = 1, 2, 4, 20, 30, 31
_LAYER = "application"
_LONGEST = 35000
_MOST_LINES = 50


async def ssh(job: Job) -> Seen:
    """Read the banner and the host key."""
    clock = job.clock()
    stream = await Stream.over(await connect(job.address, job.port, clock), clock)
    wanted, kind = job.rule.options["fingerprint"], job.rule.options["key_type"]
    try:
        banner = await _banner(stream)
        facts: dict = {"banner": banner, "key_type": None, "fingerprint": None}
        stream.write(_BANNER)
        key = await _host_key(stream, kind)
    finally:
        stream.close()
    latency = clock.ms
    if key:
        digest = base64.b64encode(hashlib.sha256(key).digest()).decode("ascii").rstrip("=")
        facts.update(key_type=_string(key, 0)[0].decode("ascii", "replace"), fingerprint=f"SHA256:{digest}")
    if wanted or kind:
        job.need(bool(key), f"The server showed no host key{f' of the type {kind}' if kind else ''}.", **facts)
    if wanted and wanted.rstrip("=") not in (facts["fingerprint"], facts["fingerprint"][7:]):
        raise Broken(_LAYER, "integrity", f"The host key is {facts['fingerprint']}, expected was {wanted}.", **facts)
    return Seen(f"{banner}, {facts['key_type'] or 'host key not shown'}.", banner, latency, facts)


async def _banner(stream: Stream) -> str:
    """Return the server's identification; other lines may come before it."""
    for _line in range(_MOST_LINES):
        line = await stream.line(_LAYER, "ssh banner")
        if line.startswith("SSH-"):
            return line[:255]
    raise Broken(_LAYER, "integrity", "No line of the server's begins with SSH-.")


async def _host_key(stream: Stream, kind: str | None) -> bytes:
    """Return the server's public key; empty if we have no algorithm in common."""
    stream.write(_packet(_kexinit(kind)))
    ours = set(_KEX.split(",")), set((_SIGNED_BY.get(kind, kind) if kind else _KEYS).split(","))
    sent = False
    while True:
        payload = await _read(stream)
        if payload[0] == _DISCONNECT:
            return b""
        if payload[0] == _KEXINIT and not sent:
            algorithms, after = _string(payload, 17)
            keys, _after = _string(payload, after)
            for mine, theirs in zip(ours, (algorithms, keys)):
                if not mine & set(theirs.decode("ascii", "replace").split(",")):
                    return b""
            # Any 32 bytes are a public key of Curve25519. The secret is not needed, so there is no private one.
            stream.write(_packet(bytes([_ECDH_INIT]) + _with_length(os.urandom(32))))
            sent = True
        elif payload[0] == _ECDH_REPLY and sent:
            return _string(payload, 1)[0]
        elif payload[0] not in (_IGNORE, _DEBUG):
            raise Broken(_LAYER, "integrity", f"The key exchange has an unexpected message {payload[0]}.")


async def _read(stream: Stream) -> bytes:
    length = struct.unpack("!I", await stream.exactly(4, _LAYER, "ssh key exchange"))[0]
    if not 2 <= length <= _LONGEST:
        raise Broken(_LAYER, "integrity", f"The key exchange has a packet of {length} bytes.")
    packet = await stream.exactly(length, _LAYER, "ssh key exchange")
    payload = packet[1 : length - packet[0]]
    if not payload:
        raise Broken(_LAYER, "integrity", "The key exchange has an empty packet.")
    return payload


def _kexinit(kind: str | None) -> bytes:
    keys = _SIGNED_BY.get(kind, kind) if kind else _KEYS
    lists = (_KEX, keys, _CIPHERS, _CIPHERS, _MACS, _MACS, "none", "none", "", "")
    names = b"".join(_with_length(names.encode("ascii")) for names in lists)
    return bytes([_KEXINIT]) + os.urandom(16) + names + b"\0" * 5


def _packet(payload: bytes) -> bytes:
    padding = 8 - (len(payload) + 5) % 8
    padding += 8 if padding < 4 else 0
    return struct.pack("!IB", len(payload) + padding + 1, padding) + payload + b"\0" * padding


def _with_length(data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + data


def _string(data: bytes, offset: int) -> tuple[bytes, int]:
    """Return the string at an offset, and where what follows it begins."""
    if offset + 4 > len(data):
        raise Broken(_LAYER, "integrity", "A message of the key exchange ends too early.")
    length = struct.unpack_from("!I", data, offset)[0]
    if offset + 4 + length > len(data):
        raise Broken(_LAYER, "integrity", "A message of the key exchange ends too early.")
    return data[offset + 4 : offset + 4 + length], offset + 4 + length
