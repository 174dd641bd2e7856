# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commit-confirm on the host: apply with a rollback armed, confirm through a new connection, tell the outcome.

The controller's half (plugin_utils/_confirm.py) calls the module up to three times: ``apply``; ``confirm``, through a
connection that did not exist before; and, if that could not be made in time, ``outcome`` after the rollback.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass

from .._core.commands import Commands
from .._core.errors import ConflictError, ToolkitError, ValidationError
from .._core.outcomes import error_from_os
from . import rollback
from .change import LiveChange
from .window import BASE, Window, pending_tokens

__all__ = ["CONFIRM_SPEC", "MAX_SECONDS", "MIN_SECONDS", "Session"]

MIN_SECONDS = 5
MAX_SECONDS = 3600

CONFIRM_SPEC = {
    "confirm_timeout": {"type": "int", "default": 30},
    "confirm_port": {"type": "int"},
    "allow_lockout": {"type": "bool", "default": False},
    "_confirm": {"type": "dict"},
}
"""Options of every module with commit-confirm; ``_confirm`` (stage, token, provable) is for its action plugin alone."""

_LATE = 15.0
"""Seconds that a rollback which is due is given before this run does it itself."""


@dataclass(frozen=True)
class Session:
    """One call of a module with commit-confirm.

    :param name: what is changed; changes of one name exclude each other on a host.
    :param stage: ``apply``, ``confirm`` or ``outcome``.
    :param token: the run's own word, chosen by the controller.
    :param provable: the controller can prove by a new connection that the host is still reachable.
    :param allow_lockout: the user wants the change without proof.
    :param seconds: time for the proof.
    """

    name: str
    commands: Commands
    stage: str
    token: str
    provable: bool
    allow_lockout: bool
    seconds: int
    base: str = BASE

    @classmethod
    def from_params(cls, name: str, params: dict, commands: Commands) -> Session:
        """Read the options of :data:`CONFIRM_SPEC`.

        :raises ValidationError: ``confirm_timeout`` or ``confirm_port`` is out of range.
        """
        seconds, port, hidden = params["confirm_timeout"], params["confirm_port"], params["_confirm"] or {}
        if not MIN_SECONDS <= seconds <= MAX_SECONDS:
            raise ValidationError(
                f"confirm_timeout={seconds} is not within {MIN_SECONDS} to {MAX_SECONDS} seconds.",
                hint="30 is enough for most networks.",
            )
        if port is not None and not 1 <= port <= 65535:
            raise ValidationError(f"confirm_port={port} is not a port.", hint="Use a number from 1 to 65535.")
        return cls(
            name,
            commands,
            hidden.get("stage") or "apply",
            hidden.get("token") or secrets.token_hex(16),
            bool(hidden.get("provable")),
            params["allow_lockout"],
            seconds,
        )

    @property
    def window(self) -> Window:
        return Window(self.name, self.token, self.base)

    @property
    def needs_proof(self) -> bool:
        """True when a change is to be confirmed through a new connection; otherwise it is applied for good at once."""
        return self.provable and not self.allow_lockout

    def settle(self, check_mode: bool) -> list[str]:
        """Wait for the end of changes that other runs have left unconfirmed, and return what happened, told for people.

        A run that is alive confirms within seconds; for a dead one the host rolls back when its time is over, and
        where its timer was lost, this run does it (not in check mode).

        :raises ConflictError: in check mode, such a change stays unsettled.
        """
        notes = []
        for token in pending_tokens(self.name, self.base):
            window = Window(self.name, token, self.base)
            end = time.monotonic() + window.seconds_left + _LATE
            while window.state in ("pending", "confirming") and rollback.is_armed(window, self.commands):
                if time.monotonic() > end:
                    break
                time.sleep(0.5)
            if window.state in ("pending", "confirming"):
                if check_mode:
                    raise ConflictError(
                        f"An earlier run left an unconfirmed change of {self.name} that nothing takes back.",
                        hint="Run without --check: the previous state is brought back first.",
                    )
                rollback.fire(window, self.commands)
            ended = {"rolled-back": "taken back", "confirmed": "confirmed"}.get(window.state or "", "settled")
            notes.append(f"An earlier run had left an unconfirmed change of {self.name}; it was {ended} first.")
        return notes

    def predict(self, guard: Callable[[], None]) -> dict:
        """Return what :meth:`carry_out` would add to the result, and raise what its guard would raise."""
        if not self.provable and not self.allow_lockout:
            guard()
        return {"proof": "connection" if self.needs_proof else "none"}

    def carry_out(self, change: LiveChange, guard: Callable[[], None]) -> dict:
        """Make the change live: pending when it needs proof, else for good.

        :param guard: called where no proof is possible and none was waived; raises when the change might lock out.
        :returns: keys for the result: ``proof``, and ``pending`` for the action when a proof is due.
        """
        told = self.predict(guard)
        self.begin(change)
        if self.needs_proof:
            told["pending"] = {"seconds": self.window.seconds_left}
        else:
            self.confirm(change)
        return told

    def begin(self, change: LiveChange) -> None:
        """Stage the change, arm the rollback, and only then make the candidate live.

        :raises ToolkitError: it was refused or could not be made live; the previous state is live then.
        """
        window = self.window
        with window.locked():
            directory = window.create(self.seconds)
            try:
                change.stage(directory)
                rollback.write_script(window, change)
                # Armed first: a pending change without a timer is one whose timer was lost, never a young one.
                rollback.arm(window, self.seconds, self.commands)
                window.move("new", "pending")
            except BaseException:
                # Nothing is live yet.
                shutil.rmtree(directory, ignore_errors=True)
                rollback.disarm(window, self.commands)
                raise
            try:
                change.apply(window.path("pending"))
                return
            except (ToolkitError, OSError) as error:
                failure = error
        self._take_back(failure)

    def confirm(self, change: LiveChange) -> None:
        """Claim the pending change, write /etc, disarm the rollback. Confirming twice is fine.

        :raises ConflictError: the rollback came first.
        :raises ToolkitError: /etc could not be written; the previous state is live again then.
        """
        window = self.window
        failure = None
        with window.locked():
            if window.state == "confirmed":
                return
            if not window.move("pending", "confirming"):
                raise ConflictError(
                    f"The change of {self.name} was no longer waiting to be confirmed ({window.state or 'unknown'}).",
                    hint="Raise confirm_timeout if the connection takes long to make.",
                )
            try:
                change.commit(window.path("confirming"))
            except (ToolkitError, OSError) as error:
                failure = error
            else:
                window.move("confirming", "confirmed")
        if failure is not None:
            self._take_back(failure)
        rollback.disarm(window, self.commands)
        # What was saved may hold configuration; the empty directory is enough to answer a second confirm.
        for name in os.listdir(window.path("confirmed")):
            os.unlink(os.path.join(window.path("confirmed"), name))
        os.unlink(window.script)

    def _take_back(self, failure: ToolkitError | OSError) -> None:
        rollback.fire(self.window, self.commands)
        rollback.disarm(self.window, self.commands)
        raise failure if isinstance(failure, ToolkitError) else error_from_os(failure)

    def outcome(self, change: LiveChange) -> dict:
        """Tell how the change ended: ``{"state": ..., "reverted": ...}``; ``reverted`` says whether what is live now
        is what was live before it."""
        window = self.window
        with window.locked():
            state = window.state
            reverted = state == "rolled-back" and change.reverted(window.path("rolled-back"))
        return {"state": state or "unknown", "reverted": reverted}
