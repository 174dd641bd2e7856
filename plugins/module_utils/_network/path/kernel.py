# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel knows by itself: routes, neighbours, own addresses. By iproute2, in few processes."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterable

from ..._core.commands import Commands
from ..._core.errors import ToolkitError, UnavailableError

__all__ = ["Kernel"]

_FAILED = re.compile(r"Command failed -:(\d+)")
_HINT = "Add a route, or see why it is missing: ip route get."


class Kernel:
    """Reads through ``commands``.

    :raises DependencyError: iproute2 is not installed.
    """

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._ip = commands.require("ip", "iproute2")

    def routes(self, destinations: Iterable[tuple]) -> list[dict | ToolkitError]:
        """Return, for each socket address, the route that the kernel takes, or the error why there is none.

        A route is ``{destination, gateway, device, source, mtu_bytes, local}``; ``mtu_bytes`` is set where the route or
        the kernel's memory of the path says another size than the device.
        """
        asked = list(destinations)
        if not asked:
            return []
        script = "".join(f"route get {_where(sockaddr)}\n" for sockaddr in asked)
        done = self._commands.run([self._ip, "-json", "-force", "-batch", "-"], stdin=script)
        refused: dict[int, str] = {}
        reason = ""
        for line in done.err.splitlines():
            failed = _FAILED.match(line)
            if failed:
                refused[int(failed[1]) - 1] = reason
            else:
                reason = line.rpartition(": ")[2]
        found = iter(_documents(done.out))
        return [
            UnavailableError(f"There is no route to {sockaddr[0]}: {refused[number]}.", hint=_HINT)
            if number in refused
            else _route(sockaddr, next(found)[0])
            for number, sockaddr in enumerate(asked)
        ]

    def neighbours(self) -> list[dict]:
        """Return ``{address, device, link_address, state}`` of each neighbour the kernel knows, both families."""
        return [
            {
                "address": entry["dst"],
                "device": entry["dev"],
                "link_address": entry.get("lladdr"),
                "state": " ".join(entry.get("state", [])).lower(),
                "router": "router" in entry,
            }
            for entry in self._read("neighbour", "show")
        ]

    def addresses(self) -> list[str]:
        """Return the addresses of this host by which others may know it: all of global scope."""
        return [
            address["local"]
            for link in self._read("address", "show")
            for address in link.get("addr_info", [])
            if address.get("scope") == "global" and "local" in address
        ]

    def device_mtu(self, device: str) -> int:
        """Return the largest packet in bytes that ``device`` takes.

        :raises OSError: there is no such device any more.
        """
        with open(f"/sys/class/net/{device}/mtu", encoding="ascii") as handle:
            return int(handle.read())

    def _read(self, *arguments: str) -> list[dict]:
        return json.loads(self._commands.check([self._ip, "-json", *arguments]).out or "[]")


def _where(sockaddr: tuple) -> str:
    scoped = len(sockaddr) > 3 and sockaddr[3]
    return f"{sockaddr[0].partition('%')[0]}" + (f" oif {socket.if_indextoname(sockaddr[3])}" if scoped else "")


def _documents(text: str) -> list:
    """Return the JSON documents that stand one after another in ``text``."""
    decoder = json.JSONDecoder()
    found = []
    position = len(text) - len(text.lstrip())
    while position < len(text):
        document, position = decoder.raw_decode(text, position)
        found.append(document)
        position += len(text) - position - len(text[position:].lstrip())
    return found


def _route(sockaddr: tuple, entry: dict) -> dict | ToolkitError:
    if entry.get("type") in ("blackhole", "unreachable", "prohibit", "throw"):
        return UnavailableError(f"The route to {sockaddr[0]} is of the type {entry['type']}.", hint=_HINT)
    metrics = (entry.get("metrics") or [{}])[0]
    return {
        "destination": entry["dst"],
        "gateway": entry.get("gateway") or (entry.get("via") or {}).get("host"),
        "device": entry["dev"],
        "source": entry.get("prefsrc") or entry.get("src"),
        "mtu_bytes": metrics.get("mtu"),
        "local": entry.get("type") == "local",
    }
