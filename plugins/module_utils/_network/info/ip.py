# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel's view of the network, by ``ip -j`` of iproute2, which every Debian has.

Netlink itself would need a parser of binary messages for what ip prints as JSON; procfs and sysfs lack IPv6 routes,
rules and neighbours in a form that is documented.
"""

from __future__ import annotations

import json
import socket

from ..._core.commands import Commands
from ..._core.errors import IntegrityError

__all__ = ["IpTool"]


class IpTool:
    """Asks ip(8).

    :raises DependencyError: it is not installed.
    """

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._ip = commands.require("ip", "iproute2")

    def ask(self, *arguments: str) -> list[dict]:
        """Return what ``ip -j ARGUMENTS`` prints.

        :raises UnavailableError: it failed. :raises IntegrityError: it printed no JSON.
        """
        text = self._commands.check([self._ip, "-j", *arguments]).out.strip()
        try:
            # Where there is nothing to tell, some versions print nothing at all, and empty objects for what they skip.
            return [entry for entry in json.loads(text or "[]") if entry]
        except ValueError as error:
            raise IntegrityError(f"ip {' '.join(arguments)} printed what is no JSON: {error}.") from None

    def neighbours(self) -> list[dict]:
        """Return the neighbour table: ``{address, zone, interface, mac, state}``; ``zone`` is the interface's index of
        a link-local address, else 0; ``mac`` is ``None`` where it is not known."""
        found = []
        for entry in self.ask("neigh", "show"):
            try:
                zone = socket.if_nametoindex(entry["dev"]) if entry["dst"].startswith("fe80:") else 0
            except OSError:
                continue  # The interface went away.
            state = (entry.get("state") or ["NONE"])[0]
            found.append(
                {
                    "address": entry["dst"],
                    "zone": zone,
                    "interface": entry["dev"],
                    "mac": entry.get("lladdr"),
                    "state": state,
                }
            )
        return found
