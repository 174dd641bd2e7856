# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes of this machine: run programs, name a process beyond reuse of its number, find and end processes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping

from ...module_utils._core.commands import Commands
from ...module_utils._core.process import alive, identity

__all__ = ["alive", "commands", "end", "identity", "processes", "run_command"]


def run_command(
    args: list[str],
    data: str | None = None,
    binary_data: bool = False,
    environ_update: Mapping[str, str] | None = None,
    cwd: str | None = None,
    handle_exceptions: bool = True,
) -> tuple[int, str, str]:
    """Run ``args`` and return exit status, output and error output, like ``AnsibleModule.run_command`` does."""
    del binary_data, handle_exceptions
    try:
        done = subprocess.run(
            args,
            input=data,
            stdin=None if data is not None else subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, **(environ_update or {})},
            cwd=cwd,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        return 127, "", f"{args[0]}: {error.strerror}"
    return done.returncode, done.stdout, done.stderr


def commands() -> Commands:
    """Return the command runner of the rooms that live on the controller."""
    return Commands(run_command)


def processes() -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the argument list of every process that can be seen."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as handle:
                raw = handle.read()
        except OSError:
            continue
        if raw:
            yield int(entry), os.fsdecode(raw).rstrip("\0").split("\0")


def end(who: list | None, patience: float = 5.0) -> bool:
    """Kill the process of this :func:`identity` with SIGKILL and wait up to ``patience`` seconds for its end.

    :returns: whether it is gone.
    """
    deadline = time.monotonic() + patience
    while alive(who):
        try:
            os.kill(who[0], signal.SIGKILL)
        except ProcessLookupError:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
