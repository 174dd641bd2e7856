# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What probes have in common: what they see, how they break, connections with a time limit."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import time
from collections.abc import Awaitable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..targets.addresses import Address, sockaddr
from ..targets.patterns import MOST_TEXT

__all__ = ["UNREACHABLE", "Broken", "Clock", "Seen", "Stream", "connect", "reason", "together", "udp_socket"]

UNREACHABLE = (
    errno.ENETUNREACH,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.EHOSTDOWN,
    errno.EACCES,
    errno.EADDRNOTAVAIL,
)
_Result = TypeVar("_Result")


class Broken(Exception):
    """A layer does not hold.

    :param kind: as in ``error.kind``.
    :param silent: nothing came back at all, or only that it can't be reached: the cause may be a lower layer.
    :param final: nothing else can reach the host, so that it need not be tried.
    """

    def __init__(
        self, layer: str, kind: str, message: str, silent: bool = False, final: bool = False, **facts: Any
    ) -> None:
        super().__init__(message)
        self.layer = layer
        self.kind = kind
        self.message = message
        self.silent = silent
        self.final = final
        self.facts = facts


@dataclass
class Seen:
    """What a probe saw: ``text`` for patterns, ``latency_ms``, ``facts``, and ``degraded``, what is not well yet."""

    message: str
    text: str = ""
    latency_ms: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    degraded: str = ""


class Clock:
    """The time of one check: how long it took, and a limit for all that it waits for.

    :param seconds: after which it is broken.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._began = time.perf_counter()

    @property
    def ms(self) -> float:
        """Milliseconds since the beginning, to the microsecond."""
        return round((time.perf_counter() - self._began) * 1000, 3)

    @property
    def left(self) -> float:
        """Seconds that are left, never less than a millisecond."""
        return max(0.001, self.seconds - (time.perf_counter() - self._began))

    async def wait(self, awaited: Awaitable[_Result], layer: str, what: str) -> _Result:
        """Return the result of ``awaited``.

        :param what: did not come, for the message.
        :raises Broken: the time is up, the connection ended, or the network reports an error.
        """
        try:
            return await asyncio.wait_for(awaited, self.left)
        except asyncio.TimeoutError:
            raise Broken(layer, "timeout", f"No {what} within {self.seconds:g} s.", silent=True) from None
        except asyncio.IncompleteReadError as error:
            message = f"The connection was closed before the {what} was whole ({len(error.partial)} bytes came)."
            raise Broken(layer, "unavailable", message) from None
        except (asyncio.LimitOverrunError, ValueError):
            raise Broken(layer, "integrity", f"The {what} is longer than {MOST_TEXT} bytes.") from None
        except ssl.SSLError as error:
            raise Broken(layer, "integrity", f"No {what}: {error.reason or error}.") from None
        except ConnectionRefusedError:
            raise Broken(layer, "unavailable", f"No {what}: refused.") from None
        except OSError as error:
            unreachable = error.errno in UNREACHABLE
            raise Broken(layer, "unavailable", f"No {what}: {reason(error)}.", silent=unreachable) from None


class Stream:
    """A connection to a server; all reads are bounded in size, and in time by the clock of the check."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, clock: Clock) -> None:
        self.reader = reader
        self.writer = writer
        self.clock = clock

    @classmethod
    async def over(cls, connection: socket.socket, clock: Clock) -> Stream:
        """Return a stream over a connected socket."""
        reader, writer = await asyncio.open_connection(sock=connection, limit=MOST_TEXT)
        return cls(reader, writer, clock)

    def write(self, data: bytes) -> None:
        """Send ``data``; what probes send fits into the buffers of the socket."""
        self.writer.write(data)

    async def line(self, layer: str, what: str) -> str:
        """Return the next line, without its end."""
        line = await self.clock.wait(self.reader.readuntil(b"\n"), layer, what)
        return line.decode("utf-8", "replace").rstrip("\r\n")

    async def exactly(self, size: int, layer: str, what: str) -> bytes:
        """Return the next ``size`` bytes."""
        return await self.clock.wait(self.reader.readexactly(size), layer, what)

    async def some(self, layer: str, what: str) -> bytes:
        """Return what comes next, empty at the end."""
        return await self.clock.wait(self.reader.read(MOST_TEXT), layer, what)

    def close(self) -> None:
        """Drop the connection at once."""
        self.writer.transport.abort()


async def connect(address: Address, port: int, clock: Clock) -> socket.socket:
    """Return a TCP connection.

    :raises Broken: the layer tcp; ``silent`` where nothing came back or the network said that it can't be reached.
    """
    connection = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        code = connection.connect_ex(sockaddr(address, port))
        if code == errno.EINPROGRESS:
            code = await _connected(connection, clock.left)
    except OSError as error:
        connection.close()
        raise Broken("tcp", "unavailable", f"Port {port} can't be reached: {reason(error)}.") from None
    except BaseException:
        connection.close()
        raise
    if code == 0:
        return connection
    connection.close()
    if code == errno.EINPROGRESS:
        raise Broken("tcp", "timeout", f"Port {port} did not answer within {clock.seconds:g} s.", silent=True)
    if code in (errno.ECONNREFUSED, errno.ECONNRESET):
        raise Broken("tcp", "unavailable", f"Port {port} refused the connection.")
    silent = code in (*UNREACHABLE, errno.ETIMEDOUT)
    raise Broken("tcp", "unavailable", f"Port {port} can't be reached: {os.strerror(code)}.", silent=silent)


async def _connected(connection: socket.socket, seconds: float) -> int:
    """Return how a connection that was begun ended, ``EINPROGRESS`` if it did not within ``seconds``.

    It does what ``asyncio.wait_for`` and ``sock_connect`` do at half their cost, which counts with a thousand targets.
    """
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def end(in_time: bool) -> None:
        if not ended.done():
            ended.set_result(in_time)

    timer = loop.call_later(seconds, end, False)
    loop.add_writer(connection, end, True)
    try:
        in_time = await ended
    finally:
        loop.remove_writer(connection)
        timer.cancel()
    return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if in_time else errno.EINPROGRESS


async def together(coroutines: Sequence[Coroutine[Any, Any, _Result]]) -> list[_Result]:
    """Return the results of coroutines that run at the same time; one alone needs no task of its own."""
    if len(coroutines) == 1:
        return [await coroutines[0]]
    return list(await asyncio.gather(*coroutines))


def udp_socket(address: Address, port: int) -> socket.socket:
    """Return a UDP socket that only that address and port can answer to, and whose errors it gets.

    :raises OSError: there is no route.
    """
    asking = socket.socket(address.family, socket.SOCK_DGRAM)
    try:
        asking.setblocking(False)
        asking.connect(sockaddr(address, port))
    except BaseException:
        asking.close()
        raise
    return asking


def reason(error: OSError) -> str:
    """Return what the system says of an error."""
    return error.strerror or str(error) or type(error).__name__
