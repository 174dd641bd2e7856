# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Service actions that are owed: durable notes on the host that a unit must be reloaded or restarted.

Ansible's handlers are lost when a play stops between the change and the handler; the next run finds nothing to
change and the service keeps its old configuration. Whoever changes a file notes the debt *before* the change is
visible, and only the ``services`` module, once the unit is seen active again, removes the note.
"""

from __future__ import annotations

import os

from .._core.errors import ValidationError
from .._core.files import fsync_directory, remove_file, write_atomic
from .._core.paths import base_directory

__all__ = ["ACTIONS", "owe", "owed", "settle"]

ACTIONS = ("reload", "restart")


def _directory() -> str:
    return os.path.join(base_directory("state"), "owed")


def owe(unit: str, action: str) -> None:
    """Note durably that ``unit`` (full name, ``nginx.service``) needs ``action``; restart includes reload.

    :raises ValidationError: the action is neither ``reload`` nor ``restart``, or the unit is no unit name.
    """
    if action not in ACTIONS:
        raise ValidationError(f"notify: {action!r} is not a service action.", hint="Use reload or restart.", item=unit)
    if "/" in unit or not unit or unit.startswith("."):
        raise ValidationError(f"notify: {unit!r} is not a unit name.", hint="Write it as nginx.service.")
    directory = _directory()
    if not os.path.isdir(directory):
        os.makedirs(directory, mode=0o700, exist_ok=True)
        fsync_directory(os.path.dirname(directory))
    if action == "reload" and owed().get(unit) == "restart":
        return
    write_atomic(os.path.join(directory, unit), action.encode(), mode=0o600)


def owed() -> dict[str, str]:
    """Return ``{unit: action}`` for all debts of this host."""
    debts = {}
    try:
        names = sorted(os.listdir(_directory()))
    except FileNotFoundError:
        return {}
    for name in names:
        if name.startswith("."):
            continue
        with open(os.path.join(_directory(), name), encoding="utf-8") as handle:
            debts[name] = handle.read().strip()
    return debts


def settle(unit: str) -> None:
    """Remove the note of ``unit``; no error when there is none."""
    if os.path.isdir(_directory()):
        remove_file(os.path.join(_directory(), unit))
