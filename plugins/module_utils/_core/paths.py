# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the collection keeps its things: one function decides."""

from __future__ import annotations

import os

__all__ = ["base_directory"]

_SYSTEM = {"state": "/var/lib/scripts-toolkit", "log": "/var/log/scripts-toolkit", "config": "/etc/scripts-toolkit"}
_USER = {
    "state": ("XDG_STATE_HOME", ".local/state", "scripts-toolkit"),
    "log": ("XDG_STATE_HOME", ".local/state", "scripts-toolkit/log"),
    "config": ("XDG_CONFIG_HOME", ".config", "scripts-toolkit"),
}


def base_directory(purpose: str, uid: int | None = None) -> str:
    """Return the directory for ``purpose`` (``state``, ``log`` or ``config``); it may not exist yet.

    Root has the system directories, every other user the XDG base directories
    (https://specifications.freedesktop.org/basedir-spec/latest/).

    :param uid: the user, ``None`` for the effective one.
    """
    if (os.geteuid() if uid is None else uid) == 0:
        return _SYSTEM[purpose]
    variable, fallback, name = _USER[purpose]
    base = os.environ.get(variable, "")
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), fallback)
    return os.path.join(base, name)
