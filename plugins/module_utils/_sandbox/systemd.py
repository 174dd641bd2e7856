# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The backend ``systemd``: one list of properties, which is both what runs and what ``systemd-analyze`` scores."""

from __future__ import annotations

import os
import re

from .._core.commands import Commands
from .._core.errors import DependencyError, PermissionDenied
from .launcher import LAUNCHER, SCRIPT
from .request import Request
from .system_calls import ALLOWED, DENIED, families
from .unit import require_controllers
from .view import BASE, under
from .workspace import Workspace

__all__ = ["exposure", "properties", "require"]

_OVERALL = re.compile(r"Overall exposure level for .*: ([0-9.]+)")
_HOMES = ("/home", "/root", "/run/user")
_SHARED_MEMORY = 64 << 20


def require(request: Request) -> None:
    """See that this backend can do what is asked for.

    :raises PermissionDenied: only root may make such units.
    :raises DependencyError: this host is not run by systemd, or can't enforce a limit.
    """
    if os.geteuid() != 0:
        raise PermissionDenied(
            "The backend systemd needs root.", hint="Use become: true, or backend: bubblewrap for an ordinary user."
        )
    if not os.path.isdir("/run/systemd/system"):
        raise DependencyError(
            "The backend systemd: this host is not run by systemd.", hint="Use backend: bubblewrap there."
        )
    for program in ("systemd-run", "systemd-analyze"):
        Commands.require(program, "systemd")
    require_controllers(request.limits, "systemd")


def properties(request: Request, work: Workspace) -> list[tuple[str, str]]:
    """Return the unit's isolation as ``(name, value)``; the last word on each is systemd.exec(5).

    Its root is an empty directory of the run, into which only what it may see is mounted.
    """
    root = work.file("root")
    os.makedirs(root, mode=0o755, exist_ok=True)
    os.chmod(root, 0o755)
    in_homes = [path for path in (*request.read_paths, *request.write_paths) if under(path, _HOMES)]
    found = [
        ("RootDirectory", root),
        # ExecStartPre= and ExecStopPost= are ours and run outside.
        ("RootDirectoryStartOnly", "yes"),
        ("BindReadOnlyPaths", " ".join(f"-{path}" for path in BASE)),
        *(("BindReadOnlyPaths", _quoted(path)) for path in request.read_paths),
        *(("BindPaths", _quoted(path)) for path in request.write_paths),
        ("BindReadOnlyPaths", f"{work.file('launcher')}:{LAUNCHER} -{work.file('script')}:{SCRIPT}"),
        *((("User", request.user),) if request.user is not None else (("DynamicUser", "yes"),)),
        # In the new root (+) systemd mounts more than is wanted: /sys, terminals, the journal, a writable /run.
        ("InaccessiblePaths", "-+/sys -+/dev/pts -+/dev/hugepages -+/run/systemd/journal -+/run/host"),
        ("ReadOnlyPaths", "-+/run"),
        ("TemporaryFileSystem", f"/dev/shm:size={_SHARED_MEMORY},mode=1777"),
        ("ProtectHome", "no" if in_homes else "yes"),
        ("ProtectSystem", "strict"),
        ("PrivateTmp", "yes"),
        ("PrivateDevices", "yes"),
        ("DevicePolicy", "closed"),
        ("PrivateMounts", "yes"),
        ("PrivateIPC", "yes"),
        ("PrivateUsers", "yes"),
        ("ProtectProc", "invisible"),
        ("ProcSubset", "pid"),
        *((name, "yes") for name in _PROTECT),
        ("CapabilityBoundingSet", ""),
        ("AmbientCapabilities", ""),
        ("NoNewPrivileges", "yes"),
        ("KeyringMode", "private"),
        ("SystemCallFilter", " ".join(ALLOWED)),
        ("SystemCallFilter", f"~{' '.join(DENIED)}"),
        ("SystemCallErrorNumber", "EPERM"),
        ("SystemCallArchitectures", "native"),
        ("RestrictAddressFamilies", " ".join(families(request.network))),
        ("UMask", "0077"),
    ]
    if request.network != "host":
        found += [("PrivateNetwork", "yes")]
    if request.network == "none":
        found += [("IPAddressDeny", "any")]
    return found


_PROTECT = (
    *("ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups", "ProtectClock"),
    *("ProtectHostname", "LockPersonality", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "RemoveIPC"),
)


def _quoted(path: str) -> str:
    """Return the path as one word of a list; :mod:`request` has refused what would need more than quotes."""
    return f'"{path}"' if " " in path else path


def exposure(properties_: list[tuple[str, str]], commands: Commands, work: Workspace) -> float:
    """Return the exposure, 0.0 (safe) to 10.0, that ``systemd-analyze security`` gives to a unit of these properties.

    It is measured on a file, so it is known before anything runs.

    :raises DependencyError: systemd-analyze does not tell.
    """
    lines = "".join(f"{name}={value}\n" for name, value in properties_)
    unit = work.write("exposure.service", f"[Service]\nExecStart=/bin/true\n{lines}".encode())
    argv = [commands.require("systemd-analyze", "systemd"), "security", "--offline=true", "--no-pager", unit]
    done = commands.run(argv, timeout=30)
    found = _OVERALL.search(done.out)
    if not found:
        raise DependencyError(
            f"systemd-analyze gives no exposure: {done.complaint}", hint="It needs systemd 250 or newer."
        )
    return float(found[1])
