# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find what is to be purged: files below a set's directories or globs that nobody manages."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable

from .._core.errors import UnsafeError, ValidationError
from .steps import TEMPORARY_PREFIX
from .survey import Finding, look
from .wire import SetPlan, Wanted

__all__ = ["PURGE_LIMIT", "check_purge_pattern", "find_unmanaged"]

PURGE_LIMIT = 1000
"""More unmanaged entries than this are taken for a mistake in the pattern."""

# fmt: off
_SHARED = frozenset((
    "/etc/alternatives", "/etc/apt", "/etc/cron.d", "/etc/cron.daily", "/etc/cron.hourly", "/etc/cron.monthly",
    "/etc/cron.weekly", "/etc/dbus-1", "/etc/default", "/etc/dpkg", "/etc/init.d", "/etc/ld.so.conf.d",
    "/etc/logrotate.d", "/etc/modprobe.d", "/etc/modules-load.d", "/etc/network", "/etc/pam.d", "/etc/polkit-1",
    "/etc/profile.d", "/etc/security", "/etc/skel", "/etc/ssh", "/etc/ssl", "/etc/sudoers.d", "/etc/sysctl.d",
    "/etc/systemd", "/etc/systemd/network", "/etc/systemd/system", "/etc/tmpfiles.d", "/etc/udev",
))
# fmt: on
"""Directories in which many packages keep their files; only globs inside them may be purged."""


def _static_prefix(pattern: str) -> str:
    """Return the deepest directory that ``pattern`` names without wildcards."""
    parts = pattern.split("/")
    for number, part in enumerate(parts):
        if glob.has_magic(part):
            return "/".join(parts[:number]) or "/"
    return pattern


def check_purge_pattern(pattern: str, plan: SetPlan, wishes: Iterable[Wanted]) -> None:
    """Refuse a purge that could only be a mistake.

    :raises ValidationError: it is not an absolute, normal path.
    :raises UnsafeError: it reaches into directories that belong to the system or to many packages, or the set has
        nothing at or below it.
    """
    where = f"sets[{plan.name}].purge: {pattern}"
    if not pattern.startswith("/") or os.path.normpath(pattern) != pattern:
        raise ValidationError(f"{where} is not an absolute path without . and .. in it.", item=plan.name)
    base = _static_prefix(pattern)
    parts = [part for part in base.split("/") if part]
    whole = base == pattern
    system = len(parts) < 2 or (parts[0] not in ("etc", "srv", "opt", "home", "tmp", "root", "run") and len(parts) < 3)
    if system or (whole and base in _SHARED):
        raise UnsafeError(
            f"{where} reaches into {base}, which others use too.",
            hint="Purge a directory of the service itself, such as /etc/nginx/conf.d, or a glob such as "
            "/etc/cron.d/myservice-*.",
            item=plan.name,
        )
    own = [wish.dest for wish in wishes if wish.set == plan.name and wish.state != "absent"]
    if not any(dest == base or dest.startswith(base + "/") for dest in own):
        raise UnsafeError(
            f"{where}: the set has no file in {base}, so there is nothing to tell managed files by.",
            hint="Purge only directories in which the set has files, or add the directory itself to the set.",
            item=plan.name,
        )


def find_unmanaged(plan: SetPlan, wishes: Iterable[Wanted]) -> list[Finding]:
    """Return one ``delete`` finding per file, link and directory below ``plan.purge`` that no wish names.

    Links are removed, never followed; mount points are left alone.

    :raises UnsafeError: the directory to purge is reached by a final link, or holds absurdly much.
    """
    wishes = list(wishes)
    managed = {wish.dest for wish in wishes}
    kept = set(managed)
    for dest in managed:
        while len(dest) > 1:
            dest = os.path.dirname(dest)
            kept.add(dest)
    doomed: dict[str, Finding] = {}
    for pattern in plan.purge:
        check_purge_pattern(pattern, plan, wishes)
        if glob.has_magic(pattern):
            tops = sorted(glob.glob(pattern))
        else:
            if os.path.islink(pattern):
                raise UnsafeError(f"purge: {pattern} is a symbolic link.", hint="Name its target.", item=plan.name)
            tops = (
                [os.path.join(pattern, name) for name in sorted(os.listdir(pattern))] if os.path.isdir(pattern) else []
            )
        for top in tops:
            _collect(top, kept, plan, doomed)
    return list(doomed.values())


def _collect(path: str, kept: set[str], plan: SetPlan, doomed: dict[str, Finding]) -> bool:
    """Add ``path`` and what is below it to ``doomed`` unless it is kept; return True if it will be gone."""
    if os.path.basename(path).startswith(TEMPORARY_PREFIX):
        return False
    found = look(path)
    if found.kind in ("absent", "other") and path not in kept:
        return found.kind == "absent"
    gone = path not in kept
    if found.kind == "directory":
        if os.path.ismount(path):
            return False
        for name in sorted(os.listdir(path)):
            gone = _collect(os.path.join(path, name), kept, plan, doomed) and gone
    if gone:
        if len(doomed) >= PURGE_LIMIT:
            raise UnsafeError(
                f"purge: more than {PURGE_LIMIT} unmanaged files in {plan.purge}.",
                hint="Narrow the pattern, or clean up by hand once.",
                item=plan.name,
            )
        wish = Wanted(dest=path, state="absent", set=plan.name, notify={})
        doomed[path] = Finding(wish, found, "delete", origin="purge")
    return gone
