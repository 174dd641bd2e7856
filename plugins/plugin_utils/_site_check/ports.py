# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""TCP ports seen from the controller: all at once, so that filtered ones cost one time limit together."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time
from collections.abc import Iterable

from ansible_collections.scripts.toolkit.plugins.module_utils._core.errors import NotFoundError

__all__ = ["FILTERED", "OPEN", "REFUSED", "probe_ports", "resolve"]

OPEN = "open"
REFUSED = "refused"
FILTERED = "filtered"

_BATCH = 256
_NO_ANSWER = (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN)


def resolve(address: str) -> tuple[int, str]:
    """Return the socket family and the numeric address of ``address`` (a name or a number).

    :raises NotFoundError: the name has no address.
    """
    try:
        family, _kind, _protocol, _name, target = socket.getaddrinfo(address, None, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise NotFoundError(
            f"address: {address!r} has no address: {getattr(error, 'strerror', None) or error}.",
            hint="Set address to the IP address under which the host is reached from here.",
        ) from None
    return int(family), str(target[0])


def probe_ports(address: str, ports: Iterable[int], timeout: float, connections: int = 1) -> dict[int, str]:
    """Return what each port of a numeric address answers: ``open``, ``refused``, ``filtered`` (nothing came back within
    ``timeout`` seconds, or the network says it can't be reached) or another error's text.

    :param connections: that are tried to each port at the same time. One that is answered tells more than one that is
        not, so with two a port is ``filtered`` only if both got no answer.
    """
    wanted = sorted(set(ports))
    found: dict[int, str] = {}
    for start in range(0, len(wanted), _BATCH):
        found.update(_probe(address, wanted[start : start + _BATCH], timeout, connections))
    return found


def _probe(address: str, ports: list[int], timeout: float, connections: int) -> dict[int, str]:
    family, _target = resolve(address)
    found = dict.fromkeys(ports, FILTERED)

    def note(port: int, code: int) -> None:
        if found[port] != OPEN and _verdict(code) != FILTERED:
            found[port] = _verdict(code)

    with selectors.DefaultSelector() as selector:
        try:
            for port in ports * connections:
                connection = socket.socket(family, socket.SOCK_STREAM)
                connection.setblocking(False)
                code = connection.connect_ex((address, port))
                if code == errno.EINPROGRESS:
                    selector.register(connection, selectors.EVENT_WRITE, port)
                else:
                    note(port, code)
                    connection.close()
            end = time.monotonic() + timeout
            while selector.get_map() and (left := end - time.monotonic()) > 0:
                for key, _events in selector.select(left):
                    connection = key.fileobj
                    note(key.data, connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
                    selector.unregister(connection)
                    connection.close()
        finally:
            for key in list(selector.get_map().values()):
                key.fileobj.close()
    return found


def _verdict(code: int) -> str:
    if code == 0:
        return OPEN
    if code in (errno.ECONNREFUSED, errno.ECONNRESET):
        return REFUSED
    return FILTERED if code in _NO_ANSWER else os.strerror(code)
