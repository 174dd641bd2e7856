# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes of this machine, named beyond the reuse of their numbers."""

from __future__ import annotations

__all__ = ["alive", "identity"]


def identity(pid: int) -> list | None:
    """Return ``[pid, start]`` of a living process, ``None`` of one that is gone or a zombie.

    ``start`` is "boot id:start time in clock ticks since boot" (proc(5), /proc/pid/stat field 22), so that a number
    that was given to another process, or a process of an earlier boot, is never taken for it.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as handle:
            fields = handle.read().rpartition(")")[2].split()
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as handle:
            boot = handle.read().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fields[0] in ("Z", "X"):
        return None
    return [pid, f"{boot}:{fields[19]}"]


def alive(who: list | None) -> bool:
    """Return whether the process of this :func:`identity` still lives."""
    return bool(who) and identity(who[0]) == list(who)
