# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What systemd says of units, and the verbs given to it: many units in one call each (systemctl(1))."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .._core.commands import Commands, Completed
from .._core.errors import (
    ConflictError,
    DependencyError,
    PermissionDenied,
    ToolkitError,
    UnavailableError,
    ValidationError,
)

__all__ = ["Systemd", "UnitState", "explain", "full_name", "parse_show"]

_SUFFIXES = (
    *("service", "socket", "timer", "target", "path", "mount"),
    *("automount", "swap", "slice", "scope", "device"),
)
_NAME = re.compile(r"[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.\\@-]*)?\Z")
_MAX_NAME = 255

_PROPERTIES = {
    "Id": "id",
    "LoadState": "load",
    "ActiveState": "active",
    "SubState": "sub",
    "UnitFileState": "file",
    "NeedDaemonReload": "stale",
    "CanReload": "can_reload",
    "Result": "result",
    "ReloadResult": "reload_result",
    "ConditionResult": "condition",
    "ConditionTimestampMonotonic": "condition_time",
    "Type": "type",
    "NRestarts": "restarts",
    "ExecMainStatus": "exit_status",
    "Job": "job",
    "RemainAfterExit": "remains",
}


@dataclass(frozen=True)
class UnitState:
    """The properties of one unit that matter here, in systemd's own words; empty where a unit type lacks them."""

    name: str
    id: str = ""
    load: str = ""
    active: str = ""
    sub: str = ""
    file: str = ""
    stale: str = ""
    can_reload: str = ""
    result: str = ""
    reload_result: str = ""
    condition: str = ""
    condition_time: str = ""
    type: str = ""
    restarts: str = ""
    exit_status: str = ""
    job: str = ""
    remains: str = ""

    @property
    def exists(self) -> bool:
        """True when systemd found a unit file (a masked unit exists too)."""
        return self.load not in ("not-found", "")

    @property
    def masked(self) -> bool:
        return self.load == "masked" or self.file.startswith("masked")

    @property
    def crash_loop(self) -> bool:
        """True while systemd waits to start again what has just ended."""
        return self.sub.startswith("auto-restart")

    @property
    def up(self) -> bool:
        """True when the unit runs, or is on its way there and has not failed yet."""
        return self.active in ("active", "reloading", "refreshing") or (
            self.active == "activating" and not self.crash_loop
        )

    @property
    def skipped(self) -> bool:
        """True when a condition of the unit file kept it from starting, as far as systemd still remembers it."""
        return self.condition == "no" and self.condition_time not in ("", "0")

    @property
    def runs_once(self) -> bool:
        """True for a oneshot service that is inactive again after it did its work."""
        return self.type == "oneshot" and self.remains != "yes"


def full_name(name: str, option: str = "units") -> str:
    """Return the full name of a unit: ``nginx`` is ``nginx.service``.

    :raises ValidationError: it can't be a unit name, or it is a template that lacks its instance.
    """
    if not _NAME.match(name) or len(name) > _MAX_NAME - len(".service"):
        raise ValidationError(
            f"{option}: {name!r} is not a unit name.", hint="Write it as nginx, nginx.service or backup@home.timer."
        )
    stem, dot, suffix = name.rpartition(".")
    if not dot or suffix not in _SUFFIXES or not stem:
        stem, suffix, name = name, "service", f"{name}.service"
    if stem.endswith("@"):
        raise ValidationError(
            f"{option}: {name} is a template, not a unit.", hint=f"Name an instance, such as {stem}main.{suffix}."
        )
    return name


def parse_show(text: str, names: Sequence[str]) -> dict[str, UnitState]:
    """Return the state of each of ``names`` from the output of ``systemctl show`` for them in that order."""
    blocks = [block for block in text.split("\n\n") if block.strip()]
    if len(blocks) != len(names):
        raise UnavailableError(f"systemctl show told of {len(blocks)} units instead of {len(names)}.")
    states = {}
    for name, block in zip(names, blocks):
        pairs = (line.partition("=") for line in block.splitlines())
        states[name] = UnitState(name, **{_PROPERTIES[key]: value for key, _rest, value in pairs if key in _PROPERTIES})
    return states


def explain(done: Completed, unit: str | None = None) -> ToolkitError:
    """Return the error that a failed systemctl call means; the line about ``unit`` if there is one."""
    lines = [line.strip() for line in done.err.splitlines() if line.strip()]
    about = [line for line in lines if unit and unit in line]
    text = (about or lines or [done.complaint])[0].rstrip(".")
    verb = next((word for word in done.argv[1:] if not word.startswith("-")), "")
    message = f"systemctl {verb}: {text}."
    whole = done.err.lower()
    if "not been booted with systemd" in whole or "failed to connect to bus" in whole:
        return DependencyError(message, hint="This needs a host that was booted with systemd.", item=unit)
    if "access denied" in whole or "authentication required" in whole or "permission denied" in whole:
        return PermissionDenied(message, hint="Use become: true, or a user who may do this.", item=unit)
    if "already exists" in whole:
        hint = "Its unit file lies where the mask would be, in /etc/systemd/system; remove that instead."
        return ConflictError(message, hint=hint, item=unit)
    return UnavailableError(message, item=unit)


class Systemd:
    """systemctl and journalctl of this host.

    :param commands: the runner.
    :raises DependencyError: systemctl is not installed.
    """

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._systemctl = commands.require("systemctl", "systemd")

    def show(self, names: Iterable[str]) -> dict[str, UnitState]:
        """Return the state of each unit, one systemctl call for all.

        :raises ToolkitError: systemd does not answer.
        """
        wanted = list(names)
        if not wanted:
            return {}
        done = self._commands.run([self._systemctl, "show", f"--property={','.join(_PROPERTIES)}", "--", *wanted])
        if not done.ok:
            raise explain(done)
        return parse_show(done.out, wanted)

    def verb(self, verb: str, names: Sequence[str] = (), wait: bool = True) -> Completed:
        """Run ``systemctl VERB NAMES``; without ``wait`` it returns as soon as the jobs are queued."""
        options = ["--no-ask-password", *([] if wait else ["--no-block"])]
        return self._commands.run([self._systemctl, *options, verb, *(["--", *names] if names else [])])

    def sysv_enabled(self, name: str) -> bool:
        """Return whether an init script without a unit file of its own is enabled."""
        return self._commands.run([self._systemctl, "--quiet", "is-enabled", "--", name]).ok

    def journal(self, name: str, lines: int) -> list[str]:
        """Return the last ``lines`` lines of the unit's journal, oldest first; empty when there is no journal."""
        journalctl = self._commands.find("journalctl")
        if journalctl is None or lines < 1:
            return []
        argv = [journalctl, "--quiet", "--no-pager", "--output=short-iso", f"--lines={lines}", f"--unit={name}"]
        done = self._commands.run(argv)
        return done.out.splitlines() if done.ok else []

    @staticmethod
    def has_enabling_link(name: str, directory: str = "/etc/systemd/system") -> bool:
        """Return whether a wants or requires link for the unit exists; a mask hides what systemd would say of it."""
        return any(
            os.path.lexists(path)
            for kind in ("wants", "requires")
            for path in glob.glob(os.path.join(glob.escape(directory), f"*.{kind}", glob.escape(name)))
        )
