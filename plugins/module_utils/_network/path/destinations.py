# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names and addresses of destinations, resolved by this host as its programs would."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ..._core.errors import NotFoundError, ToolkitError, UnavailableError
from ..targets.addresses import parse_target

__all__ = ["IP_VERSIONS", "Destination", "names_of", "resolve_all"]

_LOOKUPS = 32
"""Names that are looked up at once."""
_NAME_SECONDS = 3.0

IP_VERSIONS = {"any": socket.AF_UNSPEC, "4": socket.AF_INET, "6": socket.AF_INET6}


@dataclass(frozen=True)
class Destination:
    """An address to send to: ``sockaddr`` as ``getaddrinfo`` gives it, and all addresses of that name."""

    family: int
    sockaddr: tuple
    addresses: tuple[str, ...]

    @property
    def address(self) -> str:
        """The numeric address, with its zone if it is a link-local one."""
        return self.addresses[0]


def resolve_all(names: list[str], option: str, ip_version: str = "any") -> list[Destination | ToolkitError]:
    """Return for each of ``names`` where it leads, or what is wrong with it; many are looked up at once.

    :param names: addresses or host names (international ones by IDNA 2003).
    :param option: name of the option that errors refer to.
    :param ip_version: a key of :data:`IP_VERSIONS`.
    """

    def resolve(name: str) -> Destination | ToolkitError:
        try:
            return _resolve(name, option, ip_version)
        except ToolkitError as error:
            return error

    with ThreadPoolExecutor(_LOOKUPS) as pool:
        return list(pool.map(resolve, names))


def names_of(addresses: Iterable[str]) -> dict[str, str]:
    """Return the names that the resolver gives to ``addresses`` within :data:`_NAME_SECONDS`, all asked at once."""
    waiting = list(addresses)
    found: dict[str, str] = {}

    def work() -> None:
        while waiting:
            try:
                address = waiting.pop()
                found[address] = socket.getnameinfo((address, 0), socket.NI_NAMEREQD)[0]
            except (IndexError, OSError):
                # Another thread took the last one; or it has no name.
                continue

    # Not a pool, whose threads would be waited for as long as a dead resolver takes.
    threads = [threading.Thread(target=work, daemon=True) for _each in waiting[:_LOOKUPS]]
    deadline = time.monotonic() + _NAME_SECONDS
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return dict(found)


def _resolve(name: str, option: str, ip_version: str) -> Destination:
    host = parse_target(name, option).text
    try:
        found = socket.getaddrinfo(host, None, family=IP_VERSIONS[ip_version], type=socket.SOCK_DGRAM)
    except socket.gaierror as error:
        raise _failure(name, option, ip_version, error) from error
    addresses = tuple(dict.fromkeys(sockaddr[0] for *_rest, sockaddr in found))
    return Destination(found[0][0], found[0][4], addresses)


def _failure(name: str, option: str, ip_version: str, error: socket.gaierror) -> ToolkitError:
    if error.errno == socket.EAI_AGAIN:
        return UnavailableError(
            f"{option}: No name server answered for {name!r}.", hint="See /etc/resolv.conf of this host.", item=name
        )
    wanted = "" if ip_version == "any" else f" IPv{ip_version}"
    return NotFoundError(
        f"{option}: {name!r} has no{wanted} address.",
        hint="Correct the name or its DNS records" + (", or ask for another ip_version." if wanted else "."),
    )
