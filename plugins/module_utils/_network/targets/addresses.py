# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses, names, networks and URLs as people write them, checked and brought into one form.

Whatever passes here is safe as an argument of a program: it never begins with a dash and holds no blank.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..._core.errors import ValidationError

__all__ = ["Address", "Endpoint", "Name", "Network", "parse_endpoint", "parse_network", "parse_target", "sockaddr"]

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_PORTS = {"http": 80, "https": 443}
_HINT = "Write 192.0.2.1, 2001:db8::1 or www.example.com."


@dataclass(frozen=True)
class Address:
    """An IPv4 or IPv6 address; ``text`` is its usual form, with the zone of a link-local one."""

    text: str
    version: int

    @property
    def family(self) -> int:
        """``AF_INET`` or ``AF_INET6``."""
        return socket.AF_INET if self.version == 4 else socket.AF_INET6


@dataclass(frozen=True)
class Name:
    """A domain or host name: ``text`` in the ASCII form that the DNS has (IDNA 2003), in lower case, without the last
    dot; ``given`` as it was written."""

    text: str
    given: str


@dataclass(frozen=True)
class Network:
    """A network in CIDR notation."""

    text: str
    version: int
    size: int

    def hosts(self) -> list[Address]:
        """Return the addresses of hosts in it, without those of the network and of the broadcast."""
        return [Address(str(host), self.version) for host in ipaddress.ip_network(self.text).hosts()]


@dataclass(frozen=True)
class Endpoint:
    """Where a service is: a host, and what else was written: ``port`` is 0 and the others are empty if it was not."""

    host: Address | Name
    port: int = 0
    scheme: str = ""
    path: str = ""


def parse_target(text: object, option: str = "address") -> Address | Name:
    """Return the address or name that ``text`` is.

    Names with letters beyond ASCII are encoded by IDNA 2003 (RFC 3490), which is what Python's standard library has.

    :param option: named in errors.
    :raises ValidationError: it is neither.
    """
    written = text if isinstance(text, str) else str(text)
    address = _address(written)
    if address is not None:
        return address
    name = written[:-1] if written.endswith(".") else written
    if not name or re.fullmatch(r"[0-9.]+|.*:.*|.*/.*", name):
        raise ValidationError(f"{option}: {written!r} is not an address or a name.", hint=_HINT)
    try:
        ascii_name = name.encode("idna").decode("ascii").lower()
    except UnicodeError as error:
        raise ValidationError(
            f"{option}: {written!r} can't be a domain name by IDNA 2003: {_reason(error)}.", hint=_HINT
        ) from None
    if len(ascii_name) > 253 or not all(_LABEL.fullmatch(label) for label in ascii_name.split(".")):
        raise ValidationError(
            f"{option}: {written!r} is not an address or a name.",
            hint=f"{_HINT} The parts of a name have 1 to 63 letters, digits or dashes, no dash at their ends.",
        )
    return Name(ascii_name, written)


def parse_network(text: object, option: str = "address") -> Network:
    """Return the network that ``text``, such as 192.0.2.0/24, is; a single address is a network of one.

    :raises ValidationError: it is none, or has bits set behind its prefix.
    """
    try:
        network = ipaddress.ip_network(str(text))
    except ValueError as error:
        raise ValidationError(
            f"{option}: {str(text)!r} is not a network: {error}.", hint="Write 192.0.2.0/24 or 2001:db8::/64."
        ) from None
    return Network(str(network), network.version, network.num_addresses)


def parse_endpoint(text: object, option: str = "address") -> Endpoint:
    """Return the host, port, scheme and path of an address, a name, ``host:port``, ``[2001:db8::1]:port``, or a URL.

    A URL has http or https, and its port is never 0.

    :raises ValidationError: it is none of these, or a URL with a user or password.
    """
    written = str(text)
    if "://" in written:
        return _url(written, option)
    if _address(written) is None:
        bracketed = re.fullmatch(r"\[([^\]]+)\](?::([0-9]+))?", written)
        plain = re.fullmatch(r"([^:]+):([0-9]+)", written)
        found = bracketed or plain
        if found:
            port = _port(found[2], written, option) if found[2] else 0
            return Endpoint(parse_target(found[1], option), port)
    return Endpoint(parse_target(written, option))


def sockaddr(address: Address, port: int) -> tuple:
    """Return what ``socket`` takes for an address and a port.

    :raises OSError: the zone of a link-local address is no interface.
    """
    if address.version == 4:
        return (address.text, port)
    plain, _percent, zone = address.text.partition("%")
    scope = 0
    if zone:
        scope = int(zone) if zone.isdigit() else socket.if_nametoindex(zone)
    return (plain, port, 0, scope)


def _address(text: str) -> Address | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    zone = text.partition("%")[2]
    if "%" in text and not re.fullmatch(r"[A-Za-z0-9_.-]{1,15}", zone):
        return None
    return Address(str(found), found.version)


def _url(written: str, option: str) -> Endpoint:
    if any(char <= " " or char == "\x7f" for char in written):
        raise ValidationError(f"{option}: {written!r} has blanks or control characters.", hint="Encode them: %20.")
    try:
        parts = urlsplit(written)
        port = parts.port
    except ValueError as error:
        raise ValidationError(
            f"{option}: {written!r} is not a URL: {error}.", hint="Write https://host/path."
        ) from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValidationError(
            f"{option}: {written!r} is not a URL with http or https.", hint="Write https://host/path."
        )
    if parts.username is not None:
        # The message must not show it.
        raise ValidationError(f"{option}: a URL with a user or password is refused.", hint="Probe without logging in.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii():
        raise ValidationError(f"{option}: the path of {written!r} is not ASCII.", hint="Encode it: %C3%A9.")
    return Endpoint(parse_target(parts.hostname, option), port or _PORTS[parts.scheme], parts.scheme, path)


def _port(text: str, written: str, option: str) -> int:
    if 1 <= int(text) <= 65535:
        return int(text)
    raise ValidationError(f"{option}: {written!r} has no right port.", hint="Ports are 1 to 65535.")


def _reason(error: UnicodeError) -> str:
    return str(error.__cause__ or error).partition("(")[0].strip() or "not encodable"
