# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers that are well and servers that are not, each on a port of its own: what probes are tested on.

    python3 probe_servers.py DIRECTORY ADDRESS...     serve on these addresses; certificates are in DIRECTORY

Prints a line when it serves. Nothing of the collection is used, so that both sides can't share an error.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import hashlib
import os
import socket
import ssl
import struct
import sys
import time
from pathlib import Path

__all__ = ["PORTS", "SSH_FINGERPRINT", "ZONE", "DnsServer", "serve"]

PORTS = {
    "well": 80,
    "error": 81,
    "slow": 82,
    "mute": 83,
    "closing": 84,
    "garbage": 85,
    "large": 86,
    "cut": 87,
    "loop": 88,
    "chunked": 89,
    "ssh": 22,
    "smtp": 25,
    "smtp_refusing": 26,
    "imap": 143,
    "https": 443,
    "expired": 444,
    "other_name": 445,
    "self_signed": 446,
    "soon": 447,
    "dns": 53,
    "ntp": 123,
    "ntp_unsynchronised": 124,
    "echo": 7,
}

ZONE = {
    ("www.lab.test", "A"): ["10.77.2.2"],
    ("www.lab.test", "AAAA"): ["fd77:2::2"],
    ("old.lab.test", "A"): ["10.77.2.2"],
    ("wrong.lab.test", "A"): ["10.77.9.9"],
    ("six.lab.test", "AAAA"): ["fd77:2::2"],
    ("xn--bcher-kva.lab.test", "A"): ["10.77.2.2"],
    ("lab.test", "MX"): ["10 www.lab.test"],
    ("lab.test", "TXT"): ["v=spf1 -all"],
    ("large.lab.test", "TXT"): ["x" * 200 + str(number) for number in range(20)],
    ("_http._tcp.lab.test", "SRV"): ["0 5 80 www.lab.test"],
    ("2.2.77.10.in-addr.arpa", "PTR"): ["www.lab.test"],
}
_TYPES = {"A": 1, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33}

_KEY = struct.pack("!I", 11) + b"ssh-ed25519" + struct.pack("!I", 32) + bytes(range(32))
SSH_FINGERPRINT = "SHA256:" + base64.b64encode(hashlib.sha256(_KEY).digest()).decode().rstrip("=")


def _page(status: str, body: bytes, *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(head) + "\r\n\r\n").encode() + body


async def _request(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def _http(answer: bytes, delay: float = 0):
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        await asyncio.sleep(delay)
        writer.write(answer)

    return handle


async def _mute(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    while await reader.read(1000):
        pass


async def _closing(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    return


def _saying(greeting: bytes, answers: dict[bytes, bytes]):
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        while line := await reader.readline():
            for begins, answer in answers.items():
                if line.startswith(begins):
                    writer.write(answer)

    return handle


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1000):
        writer.write(data)
        await writer.drain()


def _ssh_packet(payload: bytes) -> bytes:
    padding = 8 - (len(payload) + 5) % 8 + 8
    return struct.pack("!IB", len(payload) + padding + 1, padding) + payload + bytes(padding)


async def _ssh(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As far as the host key; its signature is none."""

    def text(value: bytes) -> bytes:
        return struct.pack("!I", len(value)) + value

    async def packet() -> bytes:
        length = struct.unpack("!I", await reader.readexactly(4))[0]
        return await reader.readexactly(length)

    writer.write(b"SSH-2.0-Lab_1.0\r\n")
    await reader.readline()
    lists = [
        b"curve25519-sha256",
        b"ssh-ed25519",
        *[b"aes128-ctr"] * 2,
        *[b"hmac-sha2-256"] * 2,
        b"none",
        b"none",
        b"",
        b"",
    ]
    writer.write(_ssh_packet(b"\x14" + os.urandom(16) + b"".join(text(names) for names in lists) + bytes(5)))
    assert (await packet())[1] == 20
    asked = await packet()
    assert asked[1] == 30
    assert struct.unpack_from("!I", asked, 2)[0] == 32
    writer.write(_ssh_packet(b"\x1f" + text(_KEY) + text(bytes(32)) + text(b"no signature")))


class DnsServer(asyncio.DatagramProtocol):
    """Answers from ``ZONE``; SERVFAIL for names that begin with "broken", nothing for "silent" ones."""

    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr) -> None:
        answer = self.answer(data, 1232)
        if answer:
            self.transport.sendto(answer, addr)

    @classmethod
    async def by_tcp(cls, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = struct.unpack("!H", await reader.readexactly(2))[0]
        answer = cls.answer(await reader.readexactly(length), 65535)
        writer.write(struct.pack("!H", len(answer)) + answer)

    @staticmethod
    def answer(data: bytes, most: int) -> bytes:
        labels, offset = [], 12
        while data[offset]:
            labels.append(data[offset + 1 : offset + 1 + data[offset]].decode())
            offset += 1 + data[offset]
        name = ".".join(labels).lower()
        kind = struct.unpack_from("!H", data, offset + 1)[0]
        question = data[12 : offset + 5]
        if name.startswith("silent"):
            return b""
        record = next((text for text, number in _TYPES.items() if number == kind), "")
        values = ZONE.get((name, record), [])
        known = any(known == name for known, _record in ZONE)
        rcode = 2 if name.startswith("broken") else 0 if known else 3
        answers = b"".join(DnsServer.record(kind, record, value) for value in values)
        if len(answers) + len(question) + 12 > most:
            return data[:2] + struct.pack("!HHHHH", 0x8380 | rcode, 1, 0, 0, 0) + question
        return data[:2] + struct.pack("!HHHHH", 0x8180 | rcode, 1, len(values), 0, 0) + question + answers

    @staticmethod
    def record(kind: int, record: str, value: str) -> bytes:
        def name(text: str) -> bytes:
            return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".")) + b"\0"

        words = value.split()
        if record in ("A", "AAAA"):
            data = socket.inet_pton(socket.AF_INET if record == "A" else socket.AF_INET6, value)
        elif record == "MX":
            data = struct.pack("!H", int(words[0])) + name(words[1])
        elif record == "SRV":
            data = struct.pack("!HHH", *(int(word) for word in words[:3])) + name(words[3])
        elif record == "TXT":
            data = bytes([len(value)]) + value.encode()
        else:
            data = name(value)
        return b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data


class _Ntp(asyncio.DatagramProtocol):
    def __init__(self, first: bytes) -> None:
        self.first = first

    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr) -> None:
        now = struct.pack("!II", int(time.time()) + 2208988800, int((time.time() % 1) * 2**32))
        self.transport.sendto(self.first + bytes(22) + data[40:48] + now + now, addr)


_MAIL = {b"EHLO": b"250-lab.test\r\n250-PIPELINING\r\n250 STARTTLS\r\n", b"QUIT": b"221 bye\r\n"}
_HANDLERS = {
    "well": _http(_page("200 OK", b"all is well\n", "X-Lab: yes")),
    "error": _http(_page("500 Internal Server Error", b"broken\n")),
    "slow": _http(_page("200 OK", b"late\n"), delay=0.4),
    "mute": _mute,
    "closing": _closing,
    "garbage": _http(b"\x00\xff\x13 no http\n"),
    "large": _http(_page("200 OK", b"large " * 4000)),
    "cut": _http(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort"),
    "loop": _http(_page("302 Found", b"", "Location: /again")),
    "chunked": _http(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nall is\r\n5\r\n well\r\n0\r\n\r\n"),
    "ssh": _ssh,
    "smtp": _saying(b"220 lab.test ESMTP\r\n", _MAIL),
    "smtp_refusing": _saying(b"554 no\r\n", {}),
    "imap": _saying(b"* OK ready\r\n", {b"a1": b"* CAPABILITY IMAP4rev1 IDLE\r\na1 OK done\r\n"}),
    "echo": _echo,
    "dns": DnsServer.by_tcp,
}
_CERTIFIED = ("https", "expired", "other_name", "self_signed", "soon")


async def _guarded(handle, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        await handle(reader, writer)
    with contextlib.suppress(OSError):
        await writer.drain()
        writer.close()


async def serve(directory: Path, addresses: list[str], ports: dict[str, int]) -> None:
    """Serve what ``ports`` names on the addresses. Returns when all listen."""
    loop = asyncio.get_running_loop()
    for name, port in ports.items():
        context = None
        if name in _CERTIFIED:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(directory / f"{name}.pem")
        handle = _HANDLERS["well"] if context else _HANDLERS.get(name)
        for address in addresses:
            if handle:
                bound = functools.partial(_guarded, handle)
                await asyncio.start_server(bound, address, port, ssl=context, backlog=1000)
            if name == "dns":
                await loop.create_datagram_endpoint(DnsServer, (address, port))
            if name.startswith("ntp"):
                first = b"\xe4\x00" if name.endswith("unsynchronised") else b"\x24\x02"
                await loop.create_datagram_endpoint(lambda first=first: _Ntp(first), (address, port))


async def _main(directory: str, addresses: list[str]) -> None:
    await serve(Path(directory), addresses, PORTS)
    print("serving", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2:]))
