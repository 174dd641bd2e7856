# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask name servers, and resolve names as the host does: by its hosts file and its resolv.conf.

Other sources of nsswitch.conf, such as mDNS or LDAP, are not asked.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
import struct
from dataclasses import dataclass

from ..targets.addresses import Address, Name, sockaddr
from . import dns_wire
from .kernel import Kernel
from .talk import UNREACHABLE, Broken, Clock, connect, udp_socket

__all__ = ["Resolver", "Server", "ask"]

_TRIES = 2
_MOST_SERVERS = 3
"""As resolv.conf(5)."""


@dataclass(frozen=True)
class Server:
    """A name server."""

    address: Address
    port: int = 53

    def __str__(self) -> str:
        return self.address.text if self.port == 53 else f"{self.address.text} port {self.port}"


async def ask(server: Server, name: str, record: str, clock: Clock, dnssec: bool = False) -> dns_wire.Answer:
    """Return the answer of one server: by UDP, asked twice; by TCP if it was truncated.

    :raises Broken: the layer dns, of the kinds timeout, unavailable or integrity. An answer that says that something is
        wrong (its ``rcode``) is an answer.
    """
    number, packet = dns_wire.encode(name, record, dnssec)
    try:
        asking = udp_socket(server.address, server.port)
    except OSError as error:
        raise Broken(
            "dns", "unavailable", f"{server} can't be reached: {os.strerror(error.errno)}.", silent=True
        ) from None
    try:
        answer = await _ask_udp(asking, server, (number, packet, name, record), clock)
    finally:
        asking.close()
    if answer.truncated:
        answer = await _ask_tcp(server, (number, packet, name, record), clock)
    return answer


async def _ask_udp(asking: socket.socket, server: Server, question: tuple, clock: Clock) -> dns_wire.Answer:
    number, packet, name, record = question
    loop = asyncio.get_running_loop()
    wrong = ""
    for attempt in range(_TRIES):
        patience = Clock(clock.left / (_TRIES - attempt))
        try:
            await loop.sock_sendall(asking, packet)
            while True:
                # Answers to other questions are passed over: somebody may guess.
                data = await asyncio.wait_for(loop.sock_recv(asking, 65536), patience.left)
                try:
                    return dns_wire.decode(data, number, name, record)
                except ValueError as error:
                    wrong = str(error)
        except asyncio.TimeoutError:
            continue
        except OSError as error:
            said = "nothing listens there" if error.errno == errno.ECONNREFUSED else os.strerror(error.errno or 0)
            silent = error.errno in UNREACHABLE
            raise Broken("dns", "unavailable", f"{server} can't be asked: {said}.", silent=silent) from None
    if wrong:
        raise Broken("dns", "integrity", f"{server} gives no right answer for {name}: {wrong}.")
    raise Broken("dns", "timeout", f"{server} does not answer within {clock.seconds:g} s.", silent=True)


async def _ask_tcp(server: Server, question: tuple, clock: Clock) -> dns_wire.Answer:
    number, packet, name, record = question
    loop = asyncio.get_running_loop()
    try:
        connection = await connect(server.address, server.port, clock)
    except Broken as broken:
        raise Broken("dns", broken.kind, f"{server} truncates its answer, and by TCP: {broken.message}") from None

    async def exchange() -> bytes:
        await loop.sock_sendall(connection, struct.pack("!H", len(packet)) + packet)
        data = b""
        while len(data) < 2 or len(data) < 2 + struct.unpack_from("!H", data)[0]:
            more = await loop.sock_recv(connection, 65536)
            if not more:
                raise ConnectionResetError(errno.ECONNRESET, "the connection was closed")
            data += more
        return data[2:]

    try:
        data = await clock.wait(exchange(), "dns", f"answer of {server} by TCP")
        return dns_wire.decode(data, number, name, record)
    except ValueError as error:
        raise Broken("dns", "integrity", f"{server} gives no right answer for {name}: {error}.") from None
    finally:
        connection.close()


class Resolver:
    """Resolves names. A name is asked for once in a call, whoever needs it.

    :param timeout: seconds for all servers together.
    :raises OSError: a file can't be read.
    """

    def __init__(
        self, kernel: Kernel, timeout: float, hosts: str = "/etc/hosts", configuration: str = "/etc/resolv.conf"
    ) -> None:
        self._kernel = kernel
        self._timeout = timeout
        self._hosts = _read_hosts(hosts)
        self.servers, self._search = _read_configuration(configuration)
        self._asked: dict[str, asyncio.Task] = {}

    async def lookup(self, name: Name) -> list[Address]:
        """Return the addresses of a name. Those with a route come first, of these those of IPv6.

        :raises Broken: the layer dns; or route, if there is no way to any name server.
        """
        if name.text not in self._asked:
            self._asked[name.text] = asyncio.ensure_future(self._lookup(name.text))
        return list(await asyncio.shield(self._asked[name.text]))

    async def _lookup(self, name: str) -> list[Address]:
        texts = self._hosts.get(name)
        if texts is None:
            texts = await self._ask_for_addresses(name)
        found = [Address(str(ipaddress.ip_address(text)), 6 if ":" in text else 4) for text in dict.fromkeys(texts)]
        return sorted(found, key=lambda address: (not self._has_route(address), -address.version))

    async def _ask_for_addresses(self, name: str) -> list[str]:
        names = [name] if "." in name else [*(f"{name}.{domain}" for domain in self._search), name]
        for tried in names:
            broken = None
            answers = await asyncio.gather(self.ask(tried, "AAAA"), self.ask(tried, "A"), return_exceptions=True)
            texts = []
            for answer in answers:
                if isinstance(answer, Broken):
                    broken = answer
                elif isinstance(answer, BaseException):
                    raise answer
                else:
                    texts += answer.values
            if texts:
                return texts
            if broken and broken.kind != "not_found":
                raise broken
        raise broken or Broken("dns", "not_found", f"{name} has no address.", rcode="NOERROR")

    async def ask(self, name: str, record: str, dnssec: bool = False) -> dns_wire.Answer:
        """Return the answer of the first name server of the host that gives one.

        :raises Broken: none does, or the answer is that something is wrong (kind not_found for NXDOMAIN).
        """
        share = self._timeout / max(1, len(self.servers))
        broken: Broken | None = None
        for server in self.servers:
            try:
                answer = await ask(server, name, record, Clock(share), dnssec)
            except Broken as error:
                broken = error
                continue
            if answer.rcode == "NOERROR":
                return answer
            if answer.rcode == "NXDOMAIN":
                raise Broken("dns", "not_found", f"{name} does not exist (NXDOMAIN from {server}).", rcode="NXDOMAIN")
            broken = Broken("dns", "unavailable", f"{server} answers {answer.rcode} for {name}.", rcode=answer.rcode)
        if broken is None:
            raise Broken("dns", "unavailable", "No name server is configured in /etc/resolv.conf.")
        if broken.silent and not any(self._has_way(server.address) for server in self.servers):
            raise Broken("route", "unavailable", f"There is no way to a name server: {broken.message}")
        raise broken

    def _has_route(self, address: Address) -> bool:
        try:
            self._kernel.route(address)
        except OSError:
            return False
        return True

    def _has_way(self, address: Address) -> bool:
        return self._has_route(address) and not self._kernel.route(address).down


def _read_hosts(path: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for words in _lines(path):
        try:
            ipaddress.ip_address(words[0])
        except ValueError:
            continue
        for name in words[1:]:
            found.setdefault(name.lower().rstrip("."), []).append(words[0])
    return found


def _read_configuration(path: str) -> tuple[list[Server], list[str]]:
    servers: list[Server] = []
    search: list[str] = []
    for words in _lines(path):
        if words[0] == "nameserver" and len(words) > 1:
            try:
                version = ipaddress.ip_address(words[1]).version
                server = Server(Address(words[1], version))
                sockaddr(server.address, server.port)
            except (ValueError, OSError):
                continue
            servers.append(server)
        elif words[0] in ("search", "domain"):
            search = [word.rstrip(".").lower() for word in words[1:] if word.strip(".")]
    # Without a server, the one of this host is asked, see resolv.conf(5).
    return servers[:_MOST_SERVERS] or [Server(Address("127.0.0.1", 4))], search


def _lines(path: str) -> list[list[str]]:
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            lines = [line.partition("#")[0].partition(";")[0].split() for line in handle]
    except FileNotFoundError:
        return []
    return [words for words in lines if words]
