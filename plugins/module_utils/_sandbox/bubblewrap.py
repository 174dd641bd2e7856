# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The backend ``bubblewrap``: the same sandbox from Debian's package bubblewrap.

For root, bwrap makes the namespaces with its privileges, and setpriv(1) then takes a user id that nobody else has and
drops what is left. For an ordinary user the kernel's user namespaces do that, and the command keeps the user's own id.
"""

from __future__ import annotations

import os
import pwd
import secrets
from collections.abc import Iterator

from .._core.commands import Commands
from .._core.errors import DependencyError, PermissionDenied, ValidationError
from .._core.files import user_id
from .launcher import LAUNCHER, SCRIPT
from .request import Request
from .seccomp import allow_program, deny_program
from .system_calls import families, system_calls
from .unit import require_controllers
from .view import BASE, PATH
from .workspace import Workspace

__all__ = ["command", "prepare", "require"]

_UIDS = range(1879048192, 2147352576)
"""User ids that no distribution, directory service or container manager gives to anybody (systemd's UIDS-GIDS)."""

_SETPRIV_CALLS = {"capset", "setgroups", "setresuid", "setresgid", "setreuid", "setregid"}
"""What setpriv needs behind the filter; without privileges these calls change nothing afterwards."""

_TMPFS = {"/tmp": 256 << 20, "/var/tmp": 64 << 20, "/dev/shm": 64 << 20}
"""Private directories and their sizes in bytes."""

_LAUNCH = 'exec 3<"$1/args" 4<"$1/allow" 5<"$1/deny" 6<"$1/launcher"; rm -f "$1/launcher"; shift; exec "$@"'
"""Opens what bwrap reads. The launcher has the environment in it, so it is gone before the command starts."""


def require(request: Request) -> None:
    """See that this backend can do what is asked for.

    :raises ValidationError: an option is one that only systemd enforces.
    :raises PermissionDenied: an ordinary user wants to be another one.
    :raises DependencyError: a package is missing, or the kernel can't enforce a limit.
    """
    if request.max_exposure is not None:
        raise ValidationError(
            "max_exposure: only systemd scores a sandbox, the backend bubblewrap has no exposure.",
            hint="Use backend: systemd, or leave max_exposure out.",
        )
    Commands.require("bwrap", "bubblewrap")
    Commands.require("systemd-analyze", "systemd")
    if os.geteuid() == 0:
        Commands.require("setpriv", "util-linux")
    elif request.user is not None and user_id(request.user) != os.geteuid():
        raise PermissionDenied(f"user={request.user}: only root may take another user.", hint="Use become: true.")
    if request.limits.of_control_groups:
        first = next(iter(request.limits.of_control_groups))
        if not os.path.isdir("/run/systemd/system"):
            raise DependencyError(
                f"limits.{first}: bubblewrap limits nothing by itself, and this host is not run by systemd.",
                hint=f"Leave limits.{first} out, or use a host that systemd runs.",
            )
        Commands.require("systemd-run", "systemd")
        require_controllers(request.limits, "bubblewrap")


def prepare(request: Request, commands: Commands, work: Workspace) -> None:
    """Write what bwrap reads from file descriptors: its options, so that no argument list shows them, and the filters.

    :raises DependencyError: the filter can't be made; without one nothing is run.
    """
    work.write("allow", allow_program(system_calls(commands) | _SETPRIV_CALLS, families(request.network)))
    work.write("deny", deny_program())
    work.write("args", b"".join(os.fsencode(word) + b"\0" for word in _options(request, work)))


def command(request: Request, work: Workspace, argv: list[str]) -> list[str]:
    """Return the argument list that runs ``argv`` in the sandbox that :func:`prepare` has described."""
    bwrap = [Commands.require("bwrap", "bubblewrap"), "--args", "3", "--add-seccomp-fd", "4", "--add-seccomp-fd", "5"]
    return ["/bin/sh", "-c", _LAUNCH, "sh", work.path, *bwrap, "--", *_identity(request), *argv]


def _options(request: Request, work: Workspace) -> Iterator[str]:
    yield from ("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")
    yield from ("--die-with-parent", "--new-session", "--clearenv", "--setenv", "PATH", PATH, "--cap-drop", "ALL")
    if request.network != "host":
        yield "--unshare-net"
    if os.geteuid() == 0:
        for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"):
            yield from ("--cap-add", capability)
    else:
        yield "--unshare-user"
    yield from ("--proc", "/proc", "--dev", "/dev", "--perms", "0755", "--dir", "/var")
    for path, size in _TMPFS.items():
        yield from ("--perms", "1777", "--size", str(size), "--tmpfs", path)
    mounts = dict(_mounts(request, work))
    for path in sorted({above for there in (*mounts, LAUNCHER) for above in _above(there)} - set(_TMPFS)):
        # bwrap would make them for root alone.
        yield from ("--perms", "0755", "--dir", path)
    for path in BASE:
        # /bin is a link to usr/bin.
        if os.path.islink(path) and path not in mounts:
            yield from ("--symlink", os.readlink(path), path)
    for there in sorted(mounts):
        yield from (*mounts[there], there)
    yield from ("--perms", "0444", "--ro-bind-data", "6", LAUNCHER)
    yield from ("--remount-ro", "/", "--chdir", "/")


def _mounts(request: Request, work: Workspace) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield ``(path in the sandbox, (option, path on the host))``; of the same path the last one counts."""
    for path in BASE:
        if os.path.exists(path) and (path.startswith("/etc/") or not os.path.islink(path)):
            yield path, ("--ro-bind", os.path.realpath(path))
    for path in request.read_paths:
        yield path, ("--ro-bind", path)
    for path in request.write_paths:
        yield path, ("--bind", path)
    if os.path.exists(work.file("script")):
        yield SCRIPT, ("--ro-bind", work.file("script"))


def _above(path: str) -> Iterator[str]:
    """Yield the directories above ``path``, but for the root."""
    while os.path.dirname(path) != "/":
        path = os.path.dirname(path)
        yield path


def _identity(request: Request) -> list[str]:
    """Return the program that gives up root, with its arguments; nothing for an ordinary user."""
    if os.geteuid() != 0:
        return []
    if request.user is None:
        uid = gid = _UIDS.start + secrets.randbelow(len(_UIDS))
        groups = ["--clear-groups"]
    else:
        uid = user_id(request.user)
        account = pwd.getpwuid(uid)
        gid = account.pw_gid
        groups = ["--groups", ",".join(str(group) for group in os.getgrouplist(account.pw_name, gid))]
    drop = [f"--{name}=-all" for name in ("bounding-set", "inh-caps", "ambient-caps")]
    return ["/usr/bin/setpriv", f"--reuid={uid}", f"--regid={gid}", *groups, *drop, "--no-new-privs"]
