# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which servers this host asks for names: resolv.conf(5), and systemd-resolved where it runs."""

from __future__ import annotations

import os
import re

from ..._core.commands import Commands

__all__ = ["resolvers"]

_LINE = re.compile(r"^(?:Global|Link \d+ \((?P<interface>[^)]+)\)):[ ]*(?P<words>.*)$")


def resolvers(commands: Commands, path: str = "/etc/resolv.conf", run: str = "/run/systemd/resolve") -> dict:
    """Return what the C library reads, and under ``resolved`` what systemd-resolved asks, if that runs.

    A server 127.0.0.53 is systemd-resolved itself; those that it asks are under ``resolved`` only.
    """
    found: dict = {"file": os.path.realpath(path), "servers": [], "search": [], "options": [], "resolved": None}
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            lines = [line.split() for line in handle if not line.lstrip().startswith(("#", ";"))]
    except OSError:
        found["file"] = None
        lines = []
    for words in lines:
        if len(words) < 2:
            continue
        if words[0] == "nameserver":
            found["servers"].append(words[1])
        elif words[0] in ("search", "domain"):
            found["search"] = words[1:]  # The last one counts.
        elif words[0] == "options":
            found["options"] += words[1:]
    resolvectl = commands.find("resolvectl")
    if resolvectl and os.path.isdir(run):
        found["resolved"] = _resolved(commands, resolvectl)
    return found


def _resolved(commands: Commands, resolvectl: str) -> list[dict] | None:
    """Return the servers and domains of systemd-resolved, those of no interface first; ``None`` if it does not answer.

    What ``resolvectl dns`` and ``resolvectl domain`` print is the same since systemd 239; ``--json`` came with 257.
    """
    links: dict[str | None, dict] = {}
    for name in ("dns", "domain"):
        done = commands.run([resolvectl, "--no-pager", name], timeout=5)
        if not done.ok:
            return None
        for line in done.out.splitlines():
            match = _LINE.match(line)
            if match:
                empty = {"interface": match["interface"], "servers": [], "domains": []}
                link = links.setdefault(match["interface"], empty)
                link["servers" if name == "dns" else "domains"] = match["words"].split()
    return [link for link in links.values() if link["servers"] or link["domains"]]
