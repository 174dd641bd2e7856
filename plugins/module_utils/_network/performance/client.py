# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client of a bandwidth test, and what both sides check of their options."""

from __future__ import annotations

import json
import socket
import time

from ..._core.commands import Commands
from ..._core.errors import (
    DependencyError,
    PermissionDenied,
    TimeoutExpired,
    ToolkitError,
    UnavailableError,
    ValidationError,
)
from ..path.destinations import Destination
from .handshake import LEAST_TOKEN, Terms, agreed, request
from .stream import GRACE_SECONDS, read_line, receive, send, throughput

__all__ = ["Client", "check_options", "own_terms"]

_LIMITS = {"port": (1, 65535), "seconds": (0.1, 300), "wait": (0, 3600), "max_bytes": (1, 1 << 50)}
_RETRY_SECONDS = 0.2
_HANDSHAKE_SECONDS = 10


def check_options(options: dict) -> None:
    """Check what the specification can't.

    :raises ValidationError: an option is out of range, or iperf3 is to be bounded by bytes.
    """
    for name, (least, most) in _LIMITS.items():
        value = options[name]
        if value is not None and not least <= value <= most:
            raise ValidationError(f"bandwidth.{name}: {value:g} is not between {least:g} and {most:g}.")
    if len(options["token"]) < LEAST_TOKEN:
        raise ValidationError(
            f"bandwidth.token is shorter than {LEAST_TOKEN} characters.",
            hint="Take a random one, the same for both sides: lookup('ansible.builtin.password', '/dev/null').",
        )
    if options["tool"] == "iperf3" and options["max_bytes"] is not None:
        raise ValidationError(
            "bandwidth.max_bytes: iperf3 can't be bounded by time and by bytes.", hint="Set bandwidth.tool to builtin."
        )


def own_terms(options: dict) -> Terms:
    """Return what this side wants.

    :raises DependencyError: iperf3 is demanded, but not installed.
    """
    if options["tool"] == "iperf3":
        Commands.require("iperf3")
    iperf3 = options["tool"] != "builtin" and Commands.find("iperf3") is not None
    return Terms(options["direction"], options["seconds"], options["max_bytes"], iperf3)


class Client:
    """Measures to the server at ``destination``."""

    def __init__(self, options: dict, destination: Destination, commands: Commands) -> None:
        self._options = options
        self._destination = destination
        self._commands = commands
        self._target = (destination.sockaddr[0], options["port"], *destination.sockaddr[2:])

    def run(self) -> dict:
        """Return ``{tool, direction, peer, bytes, seconds, bits_per_second}``.

        :raises ToolkitError: there is no server, it has another token, or the test broke off.
        """
        wanted = own_terms(self._options)
        with self._connect() as peer:
            peer.settimeout(_HANDSHAKE_SECONDS)
            terms = self._agree(peer, wanted)
            if self._options["tool"] == "iperf3" and not terms.iperf3:
                raise DependencyError(
                    "The server has no iperf3, or may not use it.", hint="Set bandwidth.tool to auto."
                )
            if terms.iperf3:
                counted = self._iperf3(terms)
                peer.sendall(json.dumps(counted).encode() + b"\n")
            elif terms.direction == "upload":
                counted = send(peer, terms.seconds, terms.max_bytes)
            else:
                counted = receive(peer, terms.seconds, terms.max_bytes)
        tool = "iperf3" if terms.iperf3 else "builtin"
        return {"tool": tool, "direction": terms.direction, "peer": self._destination.address, **counted}

    def _connect(self) -> socket.socket:
        """Connect, and try again for ``wait`` seconds, because the server may start later."""
        end = time.monotonic() + self._options["wait"]
        while True:
            peer = socket.socket(self._destination.family, socket.SOCK_STREAM)
            peer.settimeout(max(1.0, min(_HANDSHAKE_SECONDS, end - time.monotonic())))
            try:
                peer.connect(self._target)
                return peer
            except OSError as error:
                peer.close()
                if time.monotonic() >= end:
                    raise UnavailableError(
                        f"No bandwidth server answers at {self._destination.address} port {self._target[1]}: {error}.",
                        hint="Run a task with role: server on that host at the same time, and see the firewall.",
                    ) from error
                time.sleep(_RETRY_SECONDS)

    def _agree(self, peer: socket.socket, wanted: Terms) -> Terms:
        token = self._options["token"]
        try:
            asked = request(token, read_line(peer), wanted)
            peer.sendall(asked)
            return agreed(token, asked, read_line(peer))
        except (socket.timeout, TimeoutError):
            raise TimeoutExpired(
                f"The server did not answer within {_HANDSHAKE_SECONDS} seconds.", hint="See address and port."
            ) from None
        except OSError as error:
            raise PermissionDenied(
                f"The server refused: {error}.", hint="Give both tasks the same bandwidth.token."
            ) from error

    def _iperf3(self, terms: Terms) -> dict:
        argv = [self._commands.require("iperf3"), "--client", self._destination.address]
        argv += ["--port", str(self._options["port"]), "--time", str(int(terms.seconds)), "--json"]
        if terms.direction == "download":
            argv.append("--reverse")
        done = self._commands.run(argv, timeout=terms.seconds + GRACE_SECONDS)
        try:
            told = json.loads(done.out)
        except ValueError:
            told = {"error": done.complaint}
        if told.get("error"):
            raise self._failure(told["error"])
        received = told["end"]["sum_received"]
        return throughput(received["bytes"], received["seconds"])

    @staticmethod
    def _failure(said: str) -> ToolkitError:
        return UnavailableError(f"iperf3 failed: {said}.", hint="Set bandwidth.tool to builtin, or run it again.")
