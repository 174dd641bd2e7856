# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A transient unit of systemd around a program: limits that the kernel enforces, and an account of its end.

The unit is a service, not a scope, for its ``ExecStopPost=``: that runs when all else in the unit is dead and its
control group still there, so that peak memory, processor time and the limit that was hit come from the kernel itself.
``RuntimeMaxSec=`` and the control group end everything in it, whoever is left to watch: nothing outlives the limit
when this process is killed.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .._core.commands import Commands
from .._core.errors import DependencyError
from .._core.files import read_bytes
from .request import Limits
from .stream import Spoken
from .workspace import Workspace

__all__ = ["Account", "Unit", "require_controllers"]

_ACCOUNT_TIME = 60
"""Seconds that the account may take, on a host that is out of breath."""

_LATE = _ACCOUNT_TIME + 30
"""Seconds after the runtime limit in which systemd has ended the unit; then this process does it."""

_GROUP = """\
# Made for one run by scripts.toolkit.sandbox_command: {purpose}
while IFS=: read -r _number controllers path; do
    [ -n "$controllers" ] || group=$path
done </proc/self/cgroup
for top in /sys/fs/cgroup /sys/fs/cgroup/unified; do
    [ ! -e "$top$group/cpu.stat" ] || cd "$top$group"
done
"""
_BEFORE = (
    _GROUP.format(purpose="out of memory, all of it ends.")
    + """\
echo 1 >memory.oom.group
"""
)
_ACCOUNT = (
    _GROUP.format(purpose="tells how the unit ended, and takes its secrets away.")
    + """\
# What the command has used up, this has to have.
for limit in memory.max pids.max; do
    [ ! -w "$limit" ] || echo max >"$limit"
done
rm -f {work}/launcher
{{
    echo "result $SERVICE_RESULT"
    echo "code $EXIT_CODE"
    echo "status $EXIT_STATUS"
    for name in cpu.stat memory.peak memory.events pids.events; do
        [ ! -r "$name" ] || sed "s/^/$name /" "$name"
    done
}} >{work}/ended
"""
)
"""What systemd runs when all else in the unit is dead.

``OOMPolicy=kill`` would do what :data:`_BEFORE` does, but systemd would also kill this when the kernel's word of the
lack of memory comes late, and the kernel may hold it back for 10 ms (``service_notify_cgroup_oom_event`` in
systemd's service.c, in the state stop-post)."""


@dataclass(frozen=True)
class Account:
    """How the unit ended, as systemd and the kernel tell: exit status (128 + signal), the limit that was hit,
    processor time in seconds and peak memory in bytes; ``None`` where they do not tell."""

    rc: int | None
    limit: str | None
    cpu_seconds: float | None
    memory_peak_bytes: int | None


def require_controllers(limits: Limits, backend: str) -> None:
    """See that the kernel can enforce the limits that need control groups.

    :raises DependencyError: it can't; names the option.
    """
    offered = _controllers()
    for name, controller in limits.of_control_groups.items():
        if controller not in offered:
            raise DependencyError(
                f"limits.{name}: the control groups (v2) of this host offer no controller {controller!r}, so the "
                f"backend {backend} can't enforce it.",
                hint=f"Leave limits.{name} out, or use a host with the unified hierarchy, as Debian has it.",
            )


def _controllers() -> list[str]:
    """Return the controllers that the systemd which would make the unit may use."""
    group = ""
    if os.geteuid() != 0:
        uid = os.geteuid()
        group = f"/user.slice/user-{uid}.slice/user@{uid}.service"
    return (read_bytes(f"/sys/fs/cgroup{group}/cgroup.controllers") or b"").decode().split()


class Unit:
    """One transient service.

    :param properties: its isolation, ``(name, value)``; the limits are added.
    :param run: the runner, see :func:`stream.run_bounded`.
    """

    def __init__(
        self, work: Workspace, limits: Limits, properties: Sequence[tuple[str, str]], run: Callable[..., Spoken]
    ) -> None:
        self._work = work
        self._run_bounded = run
        self._limits = limits
        self._properties = [*properties, *_limit_properties(limits)]
        self.name = f"toolkit-sandbox-{work.token[:16]}.service"
        self._scope = [] if os.geteuid() == 0 else ["--user"]

    def run(self, argv: Sequence[str], stdin: bytes, most: int) -> tuple[Spoken, Account]:
        """Run ``argv`` in the unit to its end; ``most`` is how many bytes it may say."""
        account = self._work.write("account", _ACCOUNT.format(work=self._work.path).encode())
        # With the privileges of the manager, not in the sandbox ("+").
        properties = [*self._properties, ("ExecStopPost", f"+/bin/sh {account}")]
        if self._limits.memory is not None:
            properties.append(("ExecStartPre", f"+/bin/sh {self._work.write('before', _BEFORE.encode())}"))
        full = [
            *(Commands.require("systemd-run", "systemd"), *self._scope, "--quiet", "--collect", "--pipe", "--wait"),
            *("--service-type=exec", f"--unit={self.name}", "--description=Command in a sandbox"),
            *(f"--property={name}={value}" for name, value in properties),
            # systemd replaces variables in arguments; a doubled dollar sign stands for itself.
            *("--", *(part.replace("$", "$$") for part in argv)),
        ]
        kill = [Commands.require("systemctl", "systemd"), *self._scope, "kill", "--signal=KILL", self.name]
        spoken = self._run_bounded(full, stdin, most, self._limits.runtime + _LATE, kill)
        return spoken, self._account()

    def _account(self) -> Account:
        told: dict[str, str] = {}
        for line in (read_bytes(self._work.file("ended")) or b"").decode(errors="replace").splitlines():
            name, _space, value = line.rpartition(" ")
            told[name] = value
        return Account(
            _exit_status(told.get("code"), told.get("status", "")),
            _limit_hit(told),
            int(told["cpu.stat usage_usec"]) / 1e6 if "cpu.stat usage_usec" in told else None,
            int(told["memory.peak"]) if "memory.peak" in told else None,
        )


def _limit_properties(limits: Limits) -> list[tuple[str, str]]:
    found = [
        ("RuntimeMaxSec", f"{limits.runtime:g}s"),
        ("KillMode", "control-group"),
        ("KillSignal", "SIGKILL"),
        ("TimeoutStopSec", f"{_ACCOUNT_TIME}s"),
        ("OOMPolicy", "continue"),
    ]
    if limits.memory is not None:
        found += [("MemoryMax", str(limits.memory)), ("MemorySwapMax", "0")]
    if limits.tasks is not None:
        found.append(("TasksMax", str(limits.tasks)))
    if limits.cpu is not None:
        found.append(("CPUQuota", f"{limits.cpu}%"))
    return found


def _exit_status(code: str | None, status: str) -> int | None:
    if code is None:
        return None
    if code == "exited":
        return int(status)
    number = getattr(signal, f"SIG{status}", None)
    return 128 + int(number or 0)


def _limit_hit(told: dict[str, str]) -> str | None:
    def counted(name: str) -> bool:
        return int(told.get(name, 0)) > 0

    if told.get("result") == "oom-kill" or counted("memory.events oom_kill"):
        return "memory"
    if told.get("result") == "timeout":
        return "runtime"
    if counted("pids.events max"):
        return "tasks"
    return "cpu" if counted("cpu.stat nr_throttled") else None
