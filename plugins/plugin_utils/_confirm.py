# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commit-confirm on the controller: prove by a connection that did not exist before that the host is still reachable.

The host's half is module_utils/_confirm. It has armed its own rollback before anything is live, so whatever happens
here (a crash, a kill, a cut cable), the host comes back by itself.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ansible.errors import AnsibleAuthenticationFailure, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ..module_utils._core.errors import (
    IntegrityError,
    ToolkitError,
    UnavailableError,
    ValidationError,
)

__all__ = ["ConfirmedAction", "can_prove", "fresh_connection"]

_PROVABLE = ("ssh", "paramiko")
_OWN_CONNECTION = "-o ControlMaster=no -o ControlPath=none -o ServerAliveInterval=5 -o ServerAliveCountMax=3"
"""OpenSSH takes the first value of an option it sees, so these win when they come first (ssh_config(5)). The last two
end a session whose packets are dropped once it is authenticated."""

_PAUSES = (1, 2, 4, 8)
"""Seconds between attempts; the last one repeats."""
_AUTH_ATTEMPTS = 2
"""A refused key stays refused, and OpenSSH 9.8 and later bar addresses that fail too often (PerSourcePenalties)."""
_GRACE = 2.0
"""Seconds after the end of the window in which the host runs its rollback."""
_RECONNECT = 90.0
"""Seconds to reach the host again after the rollback."""


def can_prove(connection) -> bool:
    """Return whether a second connection of this kind shows that the host lets people in."""
    return getattr(connection, "transport", None) in _PROVABLE


def fresh_connection(action: ActionBase, port: int | None, timeout: float):
    """Return a new connection plugin instance to the host of ``action`` that shares no socket with any other.

    :param port: another port than that of the task's connection; ``None`` for the same.
    :param timeout: seconds to connect in, at least 2.
    """
    old = action._connection
    new = action._shared_loader_obj.connection_loader.get(
        old.ansible_name,
        action._play_context,
        new_stdin=None,
        task_uuid=action._task._uuid,
        ansible_playbook_pid=str(os.getppid()),
        shell=old._shell,
    )
    for name in ("_options", "_origins"):
        if hasattr(old, name):
            setattr(new, name, dict(getattr(old, name)))
    if old.become is not None:
        new.set_become_plugin(old.become)
    limit = max(2, min(int(old.get_option("timeout") or 10), int(timeout)))
    new.set_option("timeout", limit)
    if port is not None:
        new.set_option("port", port)
    if old.transport == "ssh":
        own = _OWN_CONNECTION + (f" -o Port={port}" if port is not None else "")
        new.set_option("ssh_args", f"{own} {old.get_option('ssh_args') or ''}".strip())
        new.set_option("reconnection_retries", 0)
    else:
        # paramiko keeps its clients by host and user, whatever the plugin instance.
        caches = vars(sys.modules[type(new).__module__])
        for name in ("SSH_CONNECTION_CACHE", "SFTP_CONNECTION_CACHE"):
            caches.get(name, {}).pop(new._cache_key(), None)
    return new


class _Unanswered(Exception):
    """A call through a new connection brought no answer of our module; ``auth``: the host refused to let us in."""

    def __init__(self, text: str, auth: bool = False) -> None:
        # ssh says first what it is about to do, and last what went wrong.
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        super().__init__(lines[-1] if lines else "no reason given")
        self.auth = auth


def _pause(attempt: int) -> int:
    return _PAUSES[min(attempt, len(_PAUSES) - 1)]


def _failure(error: dict) -> ToolkitError:
    """Return the exception that a failing result's ``error`` tells of."""
    kinds = {kind.kind: kind for kind in (ToolkitError, *ToolkitError.__subclasses__())}
    return kinds.get(error.get("kind"), ToolkitError)(str(error.get("message")), hint=error.get("hint"))


class ConfirmedAction(ActionBase):
    """Base of actions whose module implements commit-confirm: one remote call if nothing changes, two if it does."""

    _requires_connection = True
    undone = "The host went back to its previous state by itself"
    way_out = "Correct the options, and raise confirm_timeout if the connection takes long to make."

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        del tmp
        try:
            result.update(self._run(task_vars))
        except ToolkitError as error:
            result.update(error.as_result())
        return result

    def _run(self, task_vars: dict) -> dict:
        hidden = [str(name) for name in self._task.args if str(name).startswith("_")]
        if hidden:
            raise ValidationError(f"{', '.join(hidden)}: not an option of {self._task.action}.")
        token = secrets.token_hex(16)
        first = self._call("apply", token, task_vars)
        pending = first.pop("pending", None)
        if not pending:
            return first
        seconds = float(pending["seconds"])
        try:
            self._confirm(token, seconds, self._port(pending), task_vars)
            return first
        except ToolkitError as error:
            kept = {key: first[key] for key in ("diff", "warnings") if key in first}
            return {**kept, "changed": False, **getattr(error, "facts", {}), **error.as_result()}

    def _port(self, pending: dict) -> int | None:
        """Return the port for the new connection; ``None``: that of the task's connection."""
        given = self._task.args.get("confirm_port")
        if given:
            return int(given)
        ports, current = pending.get("ports") or [], int(self._connection.get_option("port") or 22)
        if set(ports) == set(pending.get("previous_ports") or []) or current in ports:
            return None
        return ports[0]

    def _call(self, stage: str, token: str, task_vars: dict) -> dict:
        arguments = dict(self._task.args)
        arguments["_confirm"] = {"stage": stage, "token": token, "provable": can_prove(self._connection)}
        return self._execute_module(module_args=arguments, task_vars=task_vars)

    @contextmanager
    def _through(self, connection) -> Iterator[None]:
        task_connection, self._connection = self._connection, connection
        try:
            yield
        finally:
            self._connection = task_connection
            if connection.connected:
                connection.close()

    def _call_anew(self, stage: str, token: str, task_vars: dict, port: int | None, timeout: float) -> dict:
        """Call the module through a new connection.

        :raises _Unanswered: there was no connection, or no module ran at its other end.
        """
        try:
            with self._through(fresh_connection(self, port, timeout)):
                answer = self._call(stage, token, task_vars)
        except (AnsibleConnectionFailure, OSError, EOFError) as error:
            refused = isinstance(error, AnsibleAuthenticationFailure) or "Permission denied" in str(error)
            raise _Unanswered(str(error), refused) from None
        if answer.get("unreachable"):
            raise _Unanswered(str(answer.get("msg")))
        if answer.get("failed") and not isinstance(answer.get("error"), dict):
            raise _Unanswered(str(answer.get("msg")))
        return answer

    def _confirm(self, token: str, seconds: float, port: int | None, task_vars: dict) -> None:
        """Confirm through a new connection, or find out how it ended.

        :raises ToolkitError: the change was taken back, or it could not be finished, or nobody knows.
        """
        deadline = time.monotonic() + seconds
        patience = seconds / 3  # so that a lost packet costs one attempt of several
        refused, attempt, last = 0, 0, "there was no time for an attempt"
        while (left := deadline - time.monotonic()) > 0.5 and refused < _AUTH_ATTEMPTS:
            try:
                answer = self._call_anew("confirm", token, task_vars, port, min(left, patience))
            except _Unanswered as error:
                last = str(error)
                refused += error.auth
                self._display.v(f"commit-confirm: attempt {attempt + 1} brought no answer: {last}")
                time.sleep(max(0.0, min(_pause(attempt), deadline - time.monotonic())))
                attempt += 1
                continue
            if answer.get("failed"):
                # The host answered, so it knows the end already.
                failure = _failure(answer["error"])
                if attempt and failure.kind == "conflict":
                    # The change kept connections out until the rollback let this one in.
                    break
                if self._ended_confirmed(failure, token, port, task_vars):
                    failure.facts = {"changed": True, "rolled_back": False}
                    raise failure
            return
        self._display.v("commit-confirm: no new connection; waiting for the host to go back to its previous state")
        time.sleep(max(0.0, deadline - time.monotonic()) + _GRACE)
        # If it is confirmed after all, only the answer was lost on its way.
        self._ended_confirmed(
            UnavailableError(f"No new connection succeeded within {seconds:.0f} seconds of the change ({last})."),
            token,
            port,
            task_vars,
        )

    def _ended_confirmed(self, failure: ToolkitError, token: str, port: int | None, task_vars: dict) -> bool:
        """Ask the host how the change ended, and return True if it is confirmed.

        :raises ToolkitError: it is not; ``failure`` with what became of it.
        """
        outcome = self._outcome(failure, token, port, task_vars)
        state = outcome.get("state", "unknown")
        if state == "confirmed":
            return True
        failure.hint = failure.hint or self.way_out
        if state != "rolled-back" or not outcome.get("reverted"):
            failure = IntegrityError(
                f"{failure.message} The host is reachable, but what is live there is not what was before (the change "
                f"is {state} there).",
                hint="Look at it: journalctl -u 'scripts-toolkit-confirm-*'.",
            )
        else:
            failure.message += f" {self.undone}, which was verified."
        failure.facts = {"rolled_back": state == "rolled-back"}
        raise failure

    def _outcome(self, failure: ToolkitError, token: str, port: int | None, task_vars: dict) -> dict:
        """Return what the host says of the change, on the previous port or, in turn, on the one of the proof.

        :raises ToolkitError: it can't be reached within 90 seconds: ``failure``, saying so.
        """
        end, attempt, last = time.monotonic() + _RECONNECT, 0, ""
        while time.monotonic() < end:
            try:
                which = port if attempt % 2 else None
                answer = self._call_anew("outcome", token, task_vars, which, end - time.monotonic())
                outcome = answer.get("outcome") or {}
                if outcome.get("state") not in ("pending", "confirming"):
                    return outcome
            except _Unanswered as error:
                last = str(error)
            time.sleep(_pause(attempt))
            attempt += 1
        failure.message += f" The host can't be reached since ({last})."
        failure.hint = failure.hint or self.way_out
        failure.facts = {"rolled_back": False}
        raise failure
