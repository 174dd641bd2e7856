# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sshd_config module's work: one drop-in file, tried out, changed by commit-confirm."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable

from .._confirm.change import LiveChange
from .._confirm.session import Session
from .._core.commands import Commands
from .._core.errors import ConflictError
from .._core.files import read_bytes, write_atomic
from .._core.module import text_diff
from .lockout import refuse_lockout
from .overlay import Overlay
from .server import Effective, Server
from .settings import DROP_IN, MAIN, check_include, render, set_before

__all__ = ["SshdConfig"]

_CANDIDATE, _PREVIOUS, _ABSENT = "candidate.conf", "previous.conf", "was-absent"


def _text(path: str) -> str | None:
    data = read_bytes(path)
    return None if data is None else data.decode("utf-8", "replace")


class _DropInChange(LiveChange):
    """Cover the drop-in by the candidate; then replace it."""

    def __init__(self, commands: Commands, server: Server, wanted: str | None) -> None:
        self._server = server
        self._overlay = Overlay(commands, DROP_IN)
        self._wanted = wanted

    def stage(self, directory: str) -> None:
        # Without settings the candidate is an empty file: to sshd that is the same as none.
        write_atomic(os.path.join(directory, _CANDIDATE), (self._wanted or "").encode(), mode=0o644, durable=False)
        before = read_bytes(DROP_IN)
        name = _ABSENT if before is None else _PREVIOUS
        write_atomic(os.path.join(directory, name), before or b"", durable=False)

    def apply(self, directory: str) -> None:
        self._overlay.cover(os.path.join(directory, _CANDIDATE))
        self._server.reload()

    def commit(self, directory: str) -> None:
        candidate = read_bytes(os.path.join(directory, _CANDIDATE)) or b""
        self._overlay.replace(None if self._wanted is None else candidate)

    def reverted(self, directory: str) -> bool:
        return not self._overlay.covered() and read_bytes(DROP_IN) == read_bytes(os.path.join(directory, _PREVIOUS))

    @property
    def revert_script(self) -> str:
        unit = self._server.unit()
        lines = [self._overlay.uncover_script(f'"$d/{_ABSENT}"')]
        if unit == "ssh.service":
            lines.append(f"systemctl reload {unit} || systemctl restart {unit}")
        return "\n".join(lines)

    @property
    def committed_test(self) -> str:
        return self._overlay.committed_test(None if self._wanted is None else f'"$d/{_CANDIDATE}"')


class SshdConfig:
    """One call of sshd_config.

    :param params: the module's parameters.
    :param warn: told what a person should know.
    :raises ValidationError: an option can't be used.
    """

    def __init__(self, params: dict, commands: Commands, check_mode: bool, warn: Callable[[str], None]) -> None:
        self._check_mode = check_mode
        self._warn = warn
        self._commands = commands
        self._settings = {} if params["state"] == "absent" else params["settings"]
        self._wanted = None if params["state"] == "absent" else render(params["settings"])
        self._session = Session.from_params("sshd_config", params, commands)
        self._server = Server(commands)

    def work(self) -> dict:
        """Do what this call is for and return the module's result."""
        if self._session.stage != "apply":
            change = _DropInChange(self._commands, self._server, self._wanted)
            if self._session.stage == "outcome":
                return {"changed": False, "outcome": self._session.outcome(change)}
            self._session.confirm(change)
            return {"changed": True}
        for note in self._session.settle(self._check_mode):
            self._warn(note)
        return self._apply()

    def _apply(self) -> dict:
        before = _text(DROP_IN)
        result = {
            "changed": before != self._wanted,
            "drop_in": DROP_IN,
            "ports": [],
            "proof": "not_needed",
            "rolled_back": False,
            "diff": [text_diff(DROP_IN, before, self._wanted)] if before != self._wanted else [],
        }
        if self._check_mode and self._commands.find("sshd") is None:
            # The package phase of this same run would install it.
            return result
        if self._wanted is not None:
            check_include(_text(MAIN))
        after = self._server.try_out(self._wanted)
        self._check_effective(after)
        result["ports"] = after.ports
        if not result["changed"]:
            return result
        now = self._server.try_out(before)
        for text in after.warnings:
            self._warn(f"sshd: {text}")
        if now.ports != after.ports:
            self._check_ports(now, after)

        def guard() -> None:
            refuse_lockout(now, after)

        if self._check_mode:
            result.update(self._session.predict(guard))
            return result
        result.update(self._session.carry_out(_DropInChange(self._commands, self._server, self._wanted), guard))
        if "pending" in result:
            result["pending"].update(ports=after.ports, previous_ports=now.ports)
        return result

    def _check_effective(self, after: Effective) -> None:
        """Check that what is set is also what the server does.

        :raises ConflictError: another file sets it first; the message says which.
        """
        keywords = [str(key) for key, value in self._settings.items() if value is not None]
        for keyword in after.overridden(keywords) if self._wanted is not None else []:
            paths = [MAIN, *glob.glob(os.path.join(os.path.dirname(DROP_IN), "*.conf"))]
            where = set_before(keyword, {path: _text(path) or "" for path in paths})
            raise ConflictError(
                f"settings.{keyword} would have no effect: {where or 'another file'} sets it first.",
                hint="Remove it there.",
                item=keyword,
            )

    def _check_ports(self, now: Effective, after: Effective) -> None:
        """Say what a change of the port entails.

        :raises ConflictError: the port is the socket unit's, not sshd's.
        """
        if self._server.unit() == "ssh.socket":
            raise ConflictError(
                "settings.Port would have no effect: ssh.socket is active and has its own ports.",
                hint="Use ssh.service instead: systemctl disable --now ssh.socket; systemctl enable --now ssh.service",
                item="Port",
            )
        if set(now.ports) - set(after.ports):
            self._warn(
                f"The ssh server will listen on port {', '.join(map(str, after.ports))} instead of "
                f"{', '.join(map(str, now.ports))}: set ansible_port, and let the port in through the firewall."
            )
