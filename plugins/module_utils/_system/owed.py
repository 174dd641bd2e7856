# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Service actions that are owed: durable notes on the host that a unit must be reloaded or restarted.

Ansible's handlers are lost when a play stops between the change and the handler; the next run finds nothing to
change and the service keeps its old configuration. Whoever changes a file notes the debt *before* the change is
visible, and only the ``services`` module, once the unit is seen active again, removes the note.

A note is a file named after the unit under ``/var/lib/scripts-toolkit/owed``. Each :func:`owe` makes a new file, so a
debt that was noted again while its unit was being reloaded is told from the older one and stays.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from .._core.errors import ValidationError
from .._core.files import fsync_directory, remove_file, write_atomic
from .._core.paths import base_directory
from .units import full_name

__all__ = ["ACTIONS", "Debt", "debts", "owe", "owed", "settle"]

ACTIONS = ("reload", "restart")


@dataclass(frozen=True)
class Debt:
    """One note: the ``action`` that is owed and a ``stamp`` that differs for each time it was noted."""

    action: str
    stamp: tuple[int, int]


def _directory() -> str:
    return os.path.join(base_directory("state"), "owed")


def _read(path: str) -> Debt | None:
    try:
        with open(path, encoding="utf-8") as handle:
            found = os.fstat(handle.fileno())
            action = handle.read().strip()
    except FileNotFoundError:
        return None
    # Something that is no action was not written by owe(); a restart is the answer that is never too little.
    return Debt(action if action in ACTIONS else "restart", (found.st_ino, found.st_mtime_ns))


def owe(unit: str, action: str) -> None:
    """Note durably that ``unit`` (``nginx.service``) needs ``action``; restart includes reload.

    :raises ValidationError: the action is neither ``reload`` nor ``restart``, or the unit is no unit name.
    """
    if action not in ACTIONS:
        raise ValidationError(f"notify: {action!r} is not a service action.", hint="Use reload or restart.", item=unit)
    unit = full_name(unit, option="notify")
    directory = _directory()
    if not os.path.isdir(directory):
        os.makedirs(directory, mode=0o700, exist_ok=True)
        fsync_directory(os.path.dirname(directory))
    path = os.path.join(directory, unit)
    known = _read(path)
    if known is not None and known.action == "restart":
        action = "restart"
    write_atomic(path, action.encode(), mode=0o600)


def debts() -> dict[str, Debt]:
    """Return ``{unit: Debt}`` for all debts of this host."""
    try:
        names = sorted(os.listdir(_directory()))
    except FileNotFoundError:
        return {}
    found = {name: _read(os.path.join(_directory(), name)) for name in names if _is_unit(name)}
    return {name: debt for name, debt in found.items() if debt is not None}


def _is_unit(name: str) -> bool:
    try:
        return not name.startswith(".") and full_name(name) == name
    except ValidationError:
        return False


def owed() -> dict[str, str]:
    """Return ``{unit: action}`` for all debts of this host."""
    return {unit: debt.action for unit, debt in debts().items()}


def settle(unit: str, debt: Debt | None = None) -> bool:
    """Remove the note of ``unit`` and return whether that was done; no error when there is none.

    :param debt: what was seen before the unit was acted on; a note made since then stays.
    """
    path = os.path.join(_directory(), unit)
    if debt is not None:
        known = _read(path)
        if known is None or known.stamp != debt.stamp:
            return False
    return os.path.isdir(_directory()) and remove_file(path)
