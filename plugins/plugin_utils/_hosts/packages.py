# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starts and ends the package cache, and tells what it served."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

from ...module_utils._core.errors import UnavailableError
from ...module_utils._core.files import read_bytes
from .layout import Layout
from .process import alive, end, identity, processes

__all__ = ["PackageCache"]

_PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "proxy.py")
_PORTS = range(3142, 3162)
"""3142 is the port of Debian's package caches; the next ones where something listens on all addresses."""


class PackageCache:
    """The package cache of one :class:`Layout`."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    @staticmethod
    def choose_port(address: str) -> int:
        """Return a port that is free on ``address``.

        :raises UnavailableError: all of the ports are taken.
        """
        for port in _PORTS:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((address, port))
                except OSError:
                    continue
                return port
        raise UnavailableError(f"No port between {_PORTS[0]} and {_PORTS[-1]} is free for the package cache.")

    def ensure(self, network: dict, mirrors: tuple[str, ...], upstream: str | None, patience: float = 10.0) -> list:
        """Return the identity of the package cache's process, which is started unless it lives.

        :param network: record of the network with ``gateway`` and ``port``.
        :param upstream: URL of this machine's own apt proxy.
        :raises UnavailableError: it did not come up.
        """
        if alive(network.get("cache")):
            return network["cache"]
        self.stop()
        arguments = ["--address", network["gateway"], "--port", str(network["port"])]
        arguments += ["--directory", self._layout.packages, "--while", self._layout.state]
        for url in mirrors:
            if urlsplit(url).scheme == "http":
                arguments += ["--allow", urlsplit(url).netloc]
        log = os.path.join(self._layout.base, "package-cache.err")
        with open(log, "wb") as errors:
            process = subprocess.Popen(  # pylint: disable=consider-using-with
                [sys.executable, "-I", _PROGRAM, *arguments],
                # In the environment, not in the arguments, which every user can read: it may hold a password.
                env={**os.environ, "TOOLKIT_UPSTREAM_PROXY": upstream or ""},
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                cwd="/",
                start_new_session=True,
            )
        deadline = time.monotonic() + patience
        while process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection((network["gateway"], network["port"]), timeout=1).close()
                return identity(process.pid)
            except OSError:
                time.sleep(0.03)
        process.kill()
        complaint = (read_bytes(log) or b"").decode(errors="replace").strip().splitlines() or ["no answer"]
        raise UnavailableError(f"The package cache did not start: {complaint[-1]}")

    def stop(self) -> None:
        """End every process of this package cache, recorded or not."""
        for number, arguments in processes():
            if _is_cache(arguments, self._layout.packages):
                end(identity(number))

    def events(self) -> list[dict]:
        """Return what was served, oldest first: ``time``, ``client``, ``url``, ``source``, ``bytes``.

        ``source`` is ``cache``, ``mirror`` (fetched for this host), ``shared`` (with a host that was fetching it) or
        ``passed`` (never kept).
        """
        raw = read_bytes(os.path.join(self._layout.packages, "log.jsonl")) or b""
        return [json.loads(line) for line in raw.splitlines() if line.endswith(b"}")]


def _is_cache(arguments: list[str], directory: str) -> bool:
    if not any(os.path.basename(argument) == "proxy.py" for argument in arguments[:3]):
        return False
    return any(pair == ("--directory", directory) for pair in zip(arguments, arguments[1:], strict=False))
