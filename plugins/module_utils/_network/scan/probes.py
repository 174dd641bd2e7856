# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Questions to ports: connect by TCP and read a banner, send a request by UDP."""

from __future__ import annotations

import errno
import os
import select
import socket
import time

from ..sockets import queue_errors
from .host import CLOSED, FILTERED, OPEN, OPEN_OR_FILTERED, Host
from .payloads import request_for
from .ports import HTTP_PORTS
from .sweep import Probe, Sweep

__all__ = ["Knock", "TcpProbe", "UdpProbe", "clean"]

_TCP = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
_UDP = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
_PENDING = (errno.EINPROGRESS, errno.EALREADY)
_NO_RESOURCES = (errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL)
_BANNER_BYTES, _BANNER_LETTERS = 1024, 200


class Knock(Probe):
    """A TCP connection that only asks whether somebody is there: being refused is an answer too."""

    __slots__ = ("_began", "_connection", "_host", "_port")

    def __init__(self, host: Host, port: int) -> None:
        self._host = host
        self._port = port

    def start(self, sweep: Sweep) -> None:
        if self._host.answered_by:
            return
        self._began = time.monotonic()
        connection, code = _connect(self._host, self._port)
        if code in _PENDING:
            self._connection = connection
            sweep.wait(self, connection, select.EPOLLOUT)
        else:
            connection.close()
            self._settle(code)

    def ready(self, sweep: Sweep) -> None:
        code = self._connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        sweep.end(self, self._connection)
        self._settle(code)

    def late(self, sweep: Sweep) -> None:
        sweep.end(self, self._connection)

    def _settle(self, code: int) -> None:
        if code in (0, errno.ECONNREFUSED):
            self._host.answer("tcp", time.monotonic() - self._began)


class TcpProbe(Probe):
    """The state of a TCP port, by a whole connection: ``open`` if it is accepted, ``closed`` if it is refused,
    ``filtered`` if nothing comes back or the network says that it can't be reached."""

    __slots__ = ("_banner", "_connection", "_host", "_port", "_reading")

    def __init__(self, host: Host, port: int, banner: bool) -> None:
        self._host = host
        self._port = port
        self._banner = banner
        self._reading = False

    def start(self, sweep: Sweep) -> None:
        connection, code = _connect(self._host, self._port)
        if code in _PENDING:
            self._connection = connection
            sweep.wait(self, connection, select.EPOLLOUT)
        elif code == 0 and self._banner:
            self._connection = connection
            sweep.wait(self, connection, select.EPOLLIN)
            self._ask_who(sweep)
        else:
            connection.close()
            self._host.note("tcp", self._port, _state(code))

    def ready(self, sweep: Sweep) -> None:
        if self._reading:
            try:
                banner = _banner(self._connection.recv(_BANNER_BYTES))
            except OSError:
                banner = None
            self._end(sweep, OPEN, banner)
            return
        code = self._connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or _own(self._connection)
        if code == 0 and self._banner:
            sweep.wait_more(self, self._connection, select.EPOLLIN)
            self._ask_who(sweep)
        else:
            self._end(sweep, _state(code))

    def late(self, sweep: Sweep) -> None:
        self._end(sweep, OPEN if self._reading else FILTERED)

    def _ask_who(self, sweep: Sweep) -> None:
        """Wait for what the service says by itself. Where HTTP is customary, ask; other services get no byte, since
        nobody knows what they would make of it (a printer prints)."""
        self._reading = True
        if self._port in HTTP_PORTS:
            try:
                self._connection.send(b"HEAD / HTTP/1.0\r\n\r\n")
            except OSError:
                self._end(sweep, OPEN)

    def _end(self, sweep: Sweep, state: int, banner: str | None = None) -> None:
        sweep.end(self, self._connection)
        self._host.note("tcp", self._port, state, banner)


class UdpProbe(Probe):
    """The state of a UDP port: ``open`` if something comes back, ``closed`` if the host says that the port is
    unreachable, ``filtered`` if another error comes back, and ``open_or_filtered`` if nothing does."""

    __slots__ = ("_connection", "_host", "_port", "_tries")

    def __init__(self, host: Host, port: int, tries: int) -> None:
        self._host = host
        self._port = port
        self._tries = tries

    def start(self, sweep: Sweep) -> None:
        host = self._host
        self._connection = socket.socket(host.family, _UDP)
        # Without it, the kernel keeps "host unreachable" for itself.
        queue_errors(self._connection)
        code = self._connection.connect_ex(host.at(self._port))
        if code:
            _refuse_exhaustion(self._connection, code)
            self._connection.close()
            host.note("udp", self._port, FILTERED)
            return
        sweep.wait(self, self._connection)
        self._send(sweep)

    def ready(self, sweep: Sweep) -> None:
        try:
            self._connection.recv(1)
            state = OPEN
        except OSError as error:
            state = _state(error.errno)
        self._end(sweep, state)

    def late(self, sweep: Sweep) -> None:
        if self._tries:
            sweep.wait_more(self)
            self._send(sweep)
        else:
            self._end(sweep, OPEN_OR_FILTERED)

    def _send(self, sweep: Sweep) -> None:
        self._tries -= 1
        try:
            self._connection.send(request_for(self._port))
        except BlockingIOError:
            pass  # The buffer of the device is full; the next try may pass.
        except OSError as error:
            self._end(sweep, _state(error.errno))

    def _end(self, sweep: Sweep, state: int) -> None:
        sweep.end(self, self._connection)
        self._host.note("udp", self._port, state)


def _connect(host: Host, port: int) -> tuple[socket.socket, int]:
    """Begin to connect; return the socket and the code of connect(2).

    :raises OSError: no socket, buffer or local port is free.
    """
    connection = socket.socket(host.family, _TCP)
    where = host.at(port)
    code = connection.connect_ex(where)
    if code == errno.EINPROGRESS:
        # Of this machine or a network namespace on it, the answer is there already.
        code = connection.connect_ex(where)
    _refuse_exhaustion(connection, code)
    return connection, _own(connection) if code == 0 else code


def _own(connection: socket.socket) -> int:
    """Return the code of a connection that came about: that of a refused one where it leads to itself.

    On this machine the kernel may take for a connection's own port the very one it is to lead to, and TCP then connects
    it with itself (RFC 9293, section 3.5, "simultaneous open"). Nobody listens there.
    """
    try:
        alone = connection.getsockname() == connection.getpeername()
    except OSError:
        alone = False  # It was reset already: somebody accepted it.
    return errno.ECONNREFUSED if alone else 0


def _refuse_exhaustion(connection: socket.socket, code: int) -> None:
    if code in _NO_RESOURCES:
        connection.close()
        raise OSError(code, os.strerror(code))


def _state(code: int | None) -> int:
    if code == 0:
        return OPEN
    return CLOSED if code in (errno.ECONNREFUSED, errno.ECONNRESET) else FILTERED


def _banner(raw: bytes) -> str | None:
    """Return what a service says of itself in one line: its first one, and of HTTP the server's name."""
    text = raw.decode("utf-8", "replace")
    first, _newline, rest = text.partition("\n")
    if text.startswith("HTTP/"):
        for line in rest.splitlines():
            if line.lower().startswith("server:"):
                first += f" {line}"
    else:
        first = text if not clean(first) else first
    return clean(first) or None


def clean(text: str) -> str:
    """Return ``text`` fit for a terminal and a report: letters that can be printed, single spaces, not too long."""
    printable = "".join(letter if letter.isprintable() and letter != "\ufffd" else " " for letter in text)
    return " ".join(printable.split())[:_BANNER_LETTERS]
