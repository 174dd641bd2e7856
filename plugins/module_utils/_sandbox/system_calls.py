# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which system calls a command may make: one set for both backends, named in systemd's words (systemd.exec(5))."""

from __future__ import annotations

import re

from .._core.commands import Commands
from .._core.errors import DependencyError

__all__ = ["ALLOWED", "DENIED", "families", "system_calls"]

ALLOWED = ("@system-service",)
DENIED = (
    *("@privileged", "@resources", "@keyring"),
    # What is asked for through a ring passes no filter; and both are ways into the kernel that few programs need.
    *("io_uring_setup", "io_uring_enter", "io_uring_register", "userfaultfd"),
)

_FAMILIES = {
    "none": ("AF_UNIX",),
    "loopback": ("AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"),
    "host": ("AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"),
}


def families(network: str) -> tuple[str, ...]:
    """Return the address families of the sockets that a command may open.

    With an IP network the C library asks the kernel by netlink which addresses it has.
    """
    return _FAMILIES[network]


def system_calls(commands: Commands) -> set[str]:
    """Return the names of the system calls in :data:`ALLOWED` that are not in :data:`DENIED`, as this host's systemd
    resolves them.

    :raises DependencyError: there is no ``systemd-analyze``, or it lists none.
    """
    analyze = commands.require("systemd-analyze", "systemd")
    listed = commands.check([analyze, "syscall-filter", "--no-pager"], failure=DependencyError).out
    sets: dict[str, set[str]] = {}
    name = ""
    for line in listed.splitlines():
        word = re.sub(r"\x1b\[[0-9;]*m", "", line).split("#")[0].strip()
        if word.startswith("@") and not line.startswith(" "):
            name = word
        elif word and name:
            sets.setdefault(name, set()).add(word)

    def calls(of: str) -> set[str]:
        return set().union(*map(calls, sets.get(of, ()))) if of.startswith("@") else {of}

    found = set().union(*map(calls, ALLOWED)) - set().union(*map(calls, DENIED))
    if "execve" not in found:
        raise DependencyError(
            "systemd-analyze lists no system calls, so the filter of the sandbox can't be made.",
            hint="Install the Debian package systemd of this release.",
        )
    return found
