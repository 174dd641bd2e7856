# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sockets of this host, read from /proc/net, and those of its ssh servers."""

from __future__ import annotations

import ipaddress
import os
import sys
from dataclasses import dataclass

from .._core.commands import Commands

__all__ = ["Socket", "held_sockets", "listening", "listens", "read_sockets", "ssh_ports", "ssh_sessions"]

_ESTABLISHED, _CLOSE, _LISTEN = 0x01, 0x07, 0x0A
_SSH_PROGRAMS = ("sshd", "sshd-session", "sshd-auth", "dropbear")


@dataclass(frozen=True)
class Socket:
    """One line of /proc/net/tcp and the like. Addresses are plain text; IPv4 inside IPv6 is shown as IPv4."""

    protocol: str
    address: str
    port: int
    peer: str
    peer_port: int
    state: int
    inode: int


def _address(text: str) -> tuple[str, int]:
    """Return address and port of ``0100007F:0016``: the address is 32-bit words in the byte order of the machine
    (Linux, proc_pid_net(5)), the port is big-endian."""
    words, port = text.split(":")
    raw = bytes.fromhex(words)
    if sys.byteorder == "little":
        raw = b"".join(raw[start : start + 4][::-1] for start in range(0, len(raw), 4))
    address = ipaddress.ip_address(raw)
    if address.version == 6 and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address), int(port, 16)


def read_sockets(proc: str = "/proc") -> list[Socket]:
    """Return all TCP and UDP sockets of this network namespace."""
    found = []
    for name in ("tcp", "tcp6", "udp", "udp6"):
        try:
            with open(os.path.join(proc, "net", name), encoding="ascii") as handle:
                lines = handle.read().splitlines()[1:]
        except FileNotFoundError:
            continue  # A kernel without IPv6.
        for line in lines:
            fields = line.split()
            address, port = _address(fields[1])
            peer, peer_port = _address(fields[2])
            found.append(Socket(name[:3], address, port, peer, peer_port, int(fields[3], 16), int(fields[9])))
    return found


def listens(socket: Socket) -> bool:
    """Return whether the socket takes new connections or datagrams."""
    return socket.port != 0 and socket.state == (_LISTEN if socket.protocol == "tcp" else _CLOSE)


def listening(sockets: list[Socket]) -> list[dict]:
    """Return ``{protocol, address, port}`` of each socket that takes new connections or datagrams, sorted."""
    ends = {(socket.protocol, socket.port, socket.address) for socket in sockets if listens(socket)}
    return [{"protocol": protocol, "address": address, "port": port} for protocol, port, address in sorted(ends)]


def held_sockets(pid: str, proc: str = "/proc") -> set[int]:
    """Return the inodes of the sockets that a process has open; none if it has ended, or belongs to somebody else."""
    directory = os.path.join(proc, pid, "fd")
    found = set()
    try:
        for number in os.listdir(directory):
            try:
                link = os.readlink(os.path.join(directory, number))
            except FileNotFoundError:
                continue  # Closed in between.
            if link.startswith("socket:["):
                found.add(int(link[8:-1]))
    except OSError:
        pass
    return found


def _ssh_inodes(proc: str) -> set[int]:
    """Return the socket inodes that ssh server processes hold."""
    inodes = set()
    for pid in filter(str.isdigit, os.listdir(proc)):
        try:
            with open(os.path.join(proc, pid, "comm"), encoding="utf-8", errors="replace") as handle:
                if handle.read().strip() not in _SSH_PROGRAMS:
                    continue
        except OSError:
            continue  # It has ended in between.
        inodes |= held_sockets(pid, proc)
    return inodes


def ssh_ports(commands: Commands, sockets: list[Socket], proc: str = "/proc") -> list[int]:
    """Return the TCP ports on which ssh servers listen now, or shall listen according to ``sshd -T``."""
    inodes = _ssh_inodes(proc)
    ports = {socket.port for socket in sockets if socket.state == _LISTEN and socket.inode in inodes}
    sshd = commands.find("sshd")
    if sshd:
        for line in commands.run([sshd, "-T"]).out.splitlines():
            key, _space, value = line.partition(" ")
            if key == "port" and value.isdigit():
                ports.add(int(value))
    return sorted(ports)


def ssh_sessions(sockets: list[Socket], ports: list[int]) -> list[Socket]:
    """Return the established connections to the ssh servers' ports."""
    return [
        socket
        for socket in sockets
        if socket.protocol == "tcp" and socket.state == _ESTABLISHED and socket.port in ports
    ]
