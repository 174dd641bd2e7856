# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a machine needs to boot disposable hosts, what is missing here, and the way on."""

from __future__ import annotations

import os
import platform

from ...module_utils._core.commands import Commands
from ...module_utils._core.errors import DependencyError, PermissionDenied, ToolkitError

__all__ = ["PROGRAMS", "REAL_HOST", "check", "install", "missing_packages", "problem"]

PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "nft": "nftables",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "mount": "mount",
}
"""Programs, and the Debian package of each."""

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

REAL_HOST = (
    "Or go on with a real host: make provision HOST=web01.example.com SSH_USER=admin SSH_KEY=~/.ssh/id_ed25519 "
    "DOMAIN=www.example.com"
)


def missing_packages(find=Commands.find, keyring: str = _KEYRING) -> list[str]:
    """Return the Debian packages, sorted, that disposable hosts need and this machine lacks."""
    missing = {package for program, package in PROGRAMS.items() if find(program) is None}
    if not os.path.exists(keyring):
        missing.add("debian-archive-keyring")
    return sorted(missing)


def problem(system: str, uid: int, missing: list[str]) -> ToolkitError | None:
    """Return what keeps a machine from booting disposable hosts, ``None`` if nothing does.

    :param system: as ``platform.system()`` gives it.
    :param uid: effective user id.
    :param missing: see :func:`missing_packages`.
    """
    if system != "Linux":
        name = {"Darwin": "macOS"}.get(system, system)
        return DependencyError(
            f"Disposable hosts need Linux with systemd-nspawn; this is {name}.",
            hint=f"Use a Linux machine or virtual machine. {REAL_HOST}",
        )
    if missing:
        sudo = "" if uid == 0 else "sudo "
        return DependencyError(
            f"Disposable hosts need programs that are missing here: {', '.join(missing)} (names of Debian packages).",
            hint=f"Install them: {sudo}apt-get install --no-install-recommends {' '.join(missing)} "
            f"(or pass --install-missing as root). {REAL_HOST}",
        )
    if uid != 0:
        return PermissionDenied(
            "Disposable hosts need root: they mount file systems and make network links.",
            hint=f"Run the same command with sudo. {REAL_HOST}",
        )
    return None


def check() -> None:
    """Return if disposable hosts can boot here.

    :raises ToolkitError: what is missing and how to go on.
    """
    found = problem(platform.system(), os.geteuid(), missing_packages() if platform.system() == "Linux" else [])
    if found:
        raise found


def install(commands: Commands) -> list[str]:
    """Install the missing Debian packages if this is root on a machine with apt-get; return their names.

    :raises UnavailableError: apt-get failed.
    """
    missing = missing_packages() if platform.system() == "Linux" else []
    apt_get = commands.find("apt-get")
    if not missing or os.geteuid() != 0 or apt_get is None:
        return []
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    arguments = [apt_get, "install", "--yes", "--no-install-recommends", *missing]
    if not commands.run(arguments, env=environment).ok:
        commands.check([apt_get, "update"], env=environment)
        commands.check(arguments, env=environment)
    return missing
