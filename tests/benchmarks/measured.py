# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a program and measure it: wall time, processor time of its process tree; and what machine it was."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Measured", "end_masters", "machine", "run", "sentence"]

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Measured:
    """One run of a program.

    :param began: seconds since the epoch when it was started.
    :param wall: seconds until its end.
    :param processor: seconds of user and system time of it and of the processes that it waited for.
    :param load: load average of the machine over the minute before.
    """

    returncode: int
    output: str
    began: float
    wall: float
    processor: float
    load: float


def run(argv: Sequence[str], environment: Mapping[str, str], directory: Path, limit: float = 1800) -> Measured:
    """Run ``argv`` without a terminal and measure it.

    :param limit: seconds after which it is killed.
    """
    load = os.getloadavg()[0]
    with tempfile.TemporaryFile() as output:
        began, clock = time.time(), time.monotonic()
        process = subprocess.Popen(
            ["timeout", "-k", "10", str(limit), *argv],
            env=dict(environment), cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        # wait4 counts the descendants that were waited for, which Popen.wait does not tell.
        _pid, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - clock
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    return Measured(process.returncode, text, began, wall, usage.ru_utime + usage.ru_stime, load)


def end_masters(directory: Path) -> float:
    """End the ssh connections that are kept open (ControlPersist) by sockets in ``directory``.

    :returns: the processor time that they took, in seconds. They outlive the program that opened them, so :func:`run`
        does not see it.
    """
    spent = 0.0
    for place in directory.iterdir() if directory.is_dir() else ():
        control = ["ssh", "-F", "none", "-o", f"ControlPath={place}"]
        checked = subprocess.run([*control, "-O", "check", "any"], capture_output=True, text=True, check=False)
        found = re.search(r"pid=(\d+)", checked.stderr)
        if found:
            fields = Path(f"/proc/{found[1]}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            spent += (int(fields[11]) + int(fields[12])) / _TICKS
        subprocess.run([*control, "-O", "exit", "any"], capture_output=True, check=False)
    return spent


def machine() -> dict:
    """Return what the figures depend on: processor, cores, memory, kernel."""
    processor = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": processor[1] if processor else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
        "kernel": platform.release(),
    }


def sentence(machine: Mapping) -> str:
    """Return what :func:`machine` tells, for a reader."""
    return f"{machine['cores']} cores of {machine['processor']}, {machine['memory_gib']} GiB, Linux {machine['kernel']}"
