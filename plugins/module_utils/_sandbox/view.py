# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a command sees: the system's programs, the few files of /etc that they need, and what was granted."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from .._core.errors import NotFoundError, ValidationError
from .request import Request

__all__ = ["BASE", "PATH", "check_paths", "find_program", "under"]

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

BASE = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"),
    *("/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d"),
    *("/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/localtime", "/etc/timezone", "/etc/os-release"),
    *("/etc/hosts", "/etc/host.conf", "/etc/gai.conf", "/etc/resolv.conf", "/etc/services", "/etc/protocols"),
    *("/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/ca-certificates", "/etc/mime.types"),
)
"""Read-only in every sandbox, as far as the host has them. Nothing else of the host is there."""


def under(path: str, tops: tuple[str, ...]) -> bool:
    """Return whether ``path`` is one of ``tops`` or below one."""
    return any(path == top or path.startswith(f"{top}/") for top in tops)


def find_program(request: Request, name: str) -> str:
    """Return the full path of the program ``name`` as the sandbox sees it.

    :raises NotFoundError: there is none in the sandbox.
    """
    visible = (*BASE, *request.read_paths, *request.write_paths)
    candidates = [os.path.join(place, name) for place in PATH.split(":")]
    if "/" in name:
        candidates = [os.path.normpath(os.path.join(request.chdir, name))]
    for path in candidates:
        real = os.path.realpath(path)
        if under(path, visible) and os.path.isfile(path) and under(real, (*visible, *map(os.path.realpath, visible))):
            return path
    raise NotFoundError(
        f"argv: the sandbox has no program {name}.",
        hint=f"It sees {', '.join(BASE[:3])} and the like; grant other directories by read_paths.",
    )


def check_paths(request: Request) -> None:
    """Look at the paths granted.

    :raises NotFoundError: one does not exist on the host.
    :raises ValidationError: the command's own user, whom the host does not know, could not write to a write path.
    """
    for option, path in _granted(request):
        if not os.path.exists(path):
            raise NotFoundError(
                f"{option}: {path} does not exist on this host.", hint="Make it first, or leave it out."
            )
    if request.user is None and os.geteuid() == 0:
        for path in request.write_paths:
            if not os.stat(path).st_mode & stat.S_IWOTH:
                raise ValidationError(
                    f"write_paths: {path} can't be written by the sandbox, which has a user of its own.",
                    hint="Set user to the owner of the path.",
                )


def _granted(request: Request) -> Iterator[tuple[str, str]]:
    for option in ("read_paths", "write_paths"):
        for path in getattr(request, option):
            yield option, path
