# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep packages from starting their services while they are installed (invoke-rc.d(8), policy-rc.d).

The policy is a script that forbids only as long as the process that wrote it lives: after a crash it allows
everything, as if it were not there, until the next run removes it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from .._core.errors import ConflictError
from .._core.files import read_bytes, remove_file, write_atomic

__all__ = ["service_starts"]

_PATH = "/usr/sbin/policy-rc.d"
_MARK = b"# scripts.toolkit.packages: only while process "
_SCRIPT = """#!/bin/sh
# scripts.toolkit.packages: only while process {pid} runs
[ "$(sed 's/.*) //' /proc/{pid}/stat 2>/dev/null | cut -d' ' -f20)" = "{start}" ] && exit 101
exit 0
"""


def _start_time(pid: int) -> str:
    """Return when the process began, in clock ticks since boot (proc_pid_stat(5), field 22)."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as handle:
        return handle.read().rpartition(") ")[2].split()[19]


@contextmanager
def service_starts(allowed: bool, path: str = _PATH) -> Iterator[None]:
    """Let package scripts start services inside the block, or forbid it; remove what a killed run has left.

    :raises ConflictError: it is to be forbidden, but somebody else has set a policy.
    """
    if _MARK in (read_bytes(path) or b""):
        remove_file(path)
    if allowed:
        yield
        return
    if os.path.lexists(path):
        raise ConflictError(
            f"start_services: {path} is there already and decides which services start.",
            hint="Remove it, or leave start_services true and let it decide.",
        )
    script = _SCRIPT.format(pid=os.getpid(), start=_start_time(os.getpid()))
    write_atomic(path, script.encode(), mode=0o755)
    try:
        yield
    finally:
        remove_file(path)
