# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which sockets listen, and whose they are, from /proc alone: ss(8) prints no JSON."""

from __future__ import annotations

import os

from ..._firewall.sockets import held_sockets, listens, read_sockets

__all__ = ["listening_processes"]


def listening_processes(proc: str = "/proc") -> list[dict]:
    """Return ``{protocol, address, port, processes}`` of each socket that takes new connections or datagrams, sorted.

    ``processes`` are ``{pid, name}``, none where it is a socket of the kernel's, or another user's and we may not look.
    """
    owners: dict[tuple[str, int, str], set[int]] = {}
    for socket in read_sockets(proc):
        if listens(socket):
            owners.setdefault((socket.protocol, socket.port, socket.address), set()).add(socket.inode)
    wanted = {inode for inodes in owners.values() for inode in inodes}
    holders = _holders(proc, wanted)
    return [
        {
            "protocol": protocol,
            "address": address,
            "port": port,
            "processes": [
                {"pid": pid, "name": name}
                for pid, name in sorted({holder for inode in inodes for holder in holders.get(inode, ())})
            ],
        }
        for (protocol, port, address), inodes in sorted(owners.items())
    ]


def _holders(proc: str, inodes: set[int]) -> dict[int, list[tuple[int, str]]]:
    """Return the processes, number and name, that have sockets with these ``inodes`` open."""
    found: dict[int, list[tuple[int, str]]] = {}
    for pid in filter(str.isdigit, os.listdir(proc)):
        held = held_sockets(pid, proc) & inodes
        if not held:
            continue
        try:
            with open(os.path.join(proc, pid, "comm"), encoding="utf-8", errors="replace") as handle:
                name = handle.read().strip()
        except OSError:
            continue  # It has ended in between.
        for inode in held:
            found.setdefault(inode, []).append((int(pid), name))
    return found
