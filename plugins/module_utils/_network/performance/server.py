# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The server of a bandwidth test: waits for one client that has the token, serves it once, and ends."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

from ..._core.commands import Commands
from ..._core.errors import TimeoutExpired, UnavailableError
from ..path.destinations import Destination
from .client import own_terms
from .handshake import MOST_LINE, Terms, accept, confirm, greeting
from .stream import GRACE_SECONDS, read_count, receive, send

__all__ = ["Server"]

_HANDSHAKE_SECONDS = 5
_STRANGERS_AT_ONCE = 64
_READY = b"Server listening"
_READY_SECONDS = 5


class Server:
    """Listens on the address ``destination`` of this host."""

    def __init__(self, options: dict, destination: Destination) -> None:
        self._options = options
        self._destination = destination
        self._own = own_terms(options)
        self._strangers = 0

    def run(self) -> dict:
        """Return ``{tool, direction, peer, strangers, bytes, seconds, bits_per_second}``.

        :raises TimeoutExpired: no client with the token came in time.
        :raises UnavailableError: the address or port can't be listened on, or the client broke off.
        """
        peer, address, terms = asyncio.run(self._serve())
        with peer:
            if terms.iperf3:
                counted = self._told(peer)
            elif terms.direction == "upload":
                counted = receive(peer, terms.seconds, terms.max_bytes)
            else:
                counted = send(peer, terms.seconds, terms.max_bytes)
        tool = "iperf3" if terms.iperf3 else "builtin"
        known = {"tool": tool, "direction": terms.direction, "peer": address, "strangers": self._strangers}
        return {**known, **counted}

    async def _serve(self) -> tuple[socket.socket, str, Terms]:
        """Return the connection, ready for the transfer, the client's address and what was agreed."""
        with self._listen() as listener:
            peer, address, asked, wanted = await self._admit(listener)
        # From here on the port is free, which iperf3 takes, so that firewalls need to let one port through.
        terms = wanted.within(self._own)
        process = await self._start_iperf3(terms) if terms.iperf3 else None
        if process is None:
            terms = replace(terms, iperf3=False)
        await asyncio.get_running_loop().sock_sendall(peer, confirm(self._options["token"], asked, terms))
        if process is not None:
            # It runs under timeout(1), so it ends.
            await process.wait()
        return peer, address, terms

    def _listen(self) -> socket.socket:
        target = (self._destination.sockaddr[0], self._options["port"], *self._destination.sockaddr[2:])
        listener = socket.socket(self._destination.family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(target)
            listener.listen(_STRANGERS_AT_ONCE)
        except OSError as error:
            listener.close()
            raise UnavailableError(
                f"{self._destination.address} port {target[1]} can't be listened on: {error.strerror}.",
                hint="bandwidth.address is one of this host's addresses, and bandwidth.port is a free port.",
            ) from error
        listener.setblocking(False)
        return listener

    async def _admit(self, listener: socket.socket) -> tuple[socket.socket, str, bytes, Terms]:
        """Return the first connection whose client has the token; strangers are sent away and counted."""
        admitted = asyncio.get_running_loop().create_future()
        tasks: set[asyncio.Task] = set()
        accepting = asyncio.ensure_future(self._accept(listener, admitted, tasks))
        try:
            return await asyncio.wait_for(admitted, self._options["wait"])
        except asyncio.TimeoutError:
            raise TimeoutExpired(
                f"No client with the token came within {self._options['wait']:g} seconds ({self._strangers} without).",
                hint="Run a task with role: client on another host at the same time, and see the firewall.",
            ) from None
        finally:
            for task in (accepting, *tasks):
                task.cancel()
            await asyncio.gather(accepting, *tasks, return_exceptions=True)

    async def _accept(self, listener: socket.socket, admitted: asyncio.Future, tasks: set[asyncio.Task]) -> None:
        loop = asyncio.get_running_loop()
        gate = asyncio.Semaphore(_STRANGERS_AT_ONCE)

        async def greet(peer: socket.socket, address: str) -> None:
            found = None
            try:
                found = await asyncio.wait_for(self._greet(peer), _HANDSHAKE_SECONDS)
            except (OSError, asyncio.TimeoutError):
                pass
            finally:
                gate.release()
                if found and not admitted.done():
                    admitted.set_result((peer, address, *found))
                else:
                    peer.close()
            self._strangers += found is None

        while True:
            await gate.acquire()
            peer, target = await loop.sock_accept(listener)
            peer.setblocking(False)
            task = loop.create_task(greet(peer, target[0]))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _greet(self, peer: socket.socket) -> tuple[bytes, Terms] | None:
        """Return the client's line and what it asks for; ``None`` if it has not got the token."""
        loop = asyncio.get_running_loop()
        first = greeting()
        await loop.sock_sendall(peer, first)
        asked = b""
        while not asked.endswith(b"\n"):
            part = await loop.sock_recv(peer, MOST_LINE)
            asked += part
            if not part or len(asked) > MOST_LINE:
                return None
        wanted = accept(self._options["token"], first, asked)
        return (asked, wanted) if wanted else None

    async def _start_iperf3(self, terms: Terms) -> asyncio.subprocess.Process | None:
        """Return an iperf3 that listens for one test; ``None`` if it does not start, then the built-in test is made."""
        limit = terms.seconds + GRACE_SECONDS
        argv = [Commands.require("timeout", "coreutils"), "-k", "1", f"{limit:g}", Commands.require("iperf3")]
        argv += ["--server", "--one-off", "--forceflush"]
        argv += ["--bind", self._destination.address, "--port", str(self._options["port"])]
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await asyncio.wait_for(process.stdout.readuntil(_READY), _READY_SECONDS)
        except (asyncio.IncompleteReadError, asyncio.TimeoutError):
            if process.returncode is None:
                process.terminate()
            await process.wait()
            return None
        return process

    @staticmethod
    def _told(peer: socket.socket) -> dict:
        """Return what the client says that iperf3 counted."""
        peer.settimeout(GRACE_SECONDS)
        try:
            return read_count(peer)
        except OSError as error:
            raise UnavailableError(f"The client's iperf3 brought no result: {error}.") from error
