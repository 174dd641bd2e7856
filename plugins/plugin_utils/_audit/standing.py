# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a witness or a sink stands: what it took last, what waits for it, when it is tried again.

``<log directory>/witness/<name>.json`` and ``<log directory>/sinks/<name>.json`` (0600), derived and rebuildable: a
lost one is begun anew. Times are seconds since the epoch.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import Any

from ...module_utils._audit.store.journal import make_private_directory
from ...module_utils._core.errors import ToolkitError
from ...module_utils._core.files import read_bytes, write_atomic

__all__ = ["FIRST_WAIT", "LONGEST_WAIT", "SINK_DIRECTORY", "Standing", "load", "prune", "save"]

SINK_DIRECTORY = "sinks"
FIRST_WAIT = 30
LONGEST_WAIT = 3600
"""Seconds between tries: the first after a failure, doubled by each further one up to the longest."""


@dataclass
class Standing:
    """The state of one witness or sink.

    :param target: as the settings spell it.
    :param witnessed: ``{size, root, time}`` of the newest checkpoint that a witness holds, with ``cosigned``, the time
        in its cosignature; only ``{time}`` of a sink.
    :param pending: ``{size, since}``: a checkpoint that waits.
    :param failures: in a row.
    :param next_attempt: not before that.
    :param error: ``{kind, message, hint}`` of the last try, ``None`` after a good one.
    """

    target: str = ""
    witnessed: dict[str, Any] | None = None
    pending: dict[str, Any] | None = None
    failures: int = 0
    last_attempt: int = 0
    next_attempt: int = 0
    error: dict[str, Any] | None = None

    @property
    def size(self) -> int:
        """Entries under the newest checkpoint that the witness holds."""
        return int((self.witnessed or {}).get("size", 0))

    def has(self, size: int, root: str) -> bool:
        """Return whether the witness holds just this checkpoint."""
        held = self.witnessed or {}
        return (held.get("size"), held.get("root")) == (size, root)

    def due(self, now: float) -> bool:
        """Return whether it may be tried. A clock that was put back makes nobody wait longer than the longest wait."""
        return self.next_attempt <= now or self.next_attempt > now + LONGEST_WAIT

    def owe(self, size: int, now: int) -> None:
        """Note that a checkpoint waits; since when the first one does is kept."""
        self.pending = {"size": size, "since": (self.pending or {}).get("since", now)}

    def succeeded(self, now: int, held: dict[str, Any]) -> None:
        """Note that everything was taken; ``held`` is what :attr:`witnessed` says beside the time."""
        self.witnessed = {**held, "time": now}
        self.pending, self.error = None, None
        self.failures, self.last_attempt, self.next_attempt = 0, now, 0

    def failed(self, error: ToolkitError, now: int) -> None:
        """Note a failure, and when to try again: later each time, or when the server asked for it."""
        self.failures += 1
        wait = min(FIRST_WAIT << min(self.failures - 1, 16), LONGEST_WAIT)
        asked = getattr(error, "retry_after", None)
        self.last_attempt = now
        self.next_attempt = now + (min(max(asked, wait), LONGEST_WAIT) if asked else wait)
        self.error = {"kind": error.kind, "message": error.message, "hint": error.hint}


def _path(directory: str, group: str, name: str) -> str:
    return os.path.join(directory, group, f"{name}.json")


def load(directory: str, group: str, name: str, target: str) -> Standing:
    """Return the state, a new one where there is none that can be read."""
    standing = Standing()
    try:
        found = json.loads(read_bytes(_path(directory, group, name)) or b"{}")
        known = {key: found[key] for key in asdict(standing) if key in found}
        for key, value in known.items():
            fits = isinstance(value, int) if isinstance(getattr(standing, key), int) else True
            if not fits or (key in ("witnessed", "pending", "error") and not isinstance(value, (dict, type(None)))):
                raise TypeError(key)
        standing = Standing(**known)
        int(standing.size)
    except (ValueError, TypeError, KeyError):
        standing = Standing()
    standing.target = target
    return standing


def save(directory: str, group: str, name: str, standing: Standing) -> None:
    """Write the state.

    :raises OSError: it can't be written.
    """
    make_private_directory(os.path.join(directory, group))
    data = json.dumps(asdict(standing), sort_keys=True).encode("ascii")
    write_atomic(_path(directory, group, name), data + b"\n", durable=False)


def prune(directory: str, group: str, names: set[str]) -> None:
    """Forget the states of what the settings name no longer."""
    folder = os.path.join(directory, group)
    try:
        found = os.listdir(folder)
    except FileNotFoundError:
        return
    for name in found:
        if name.endswith(".json") and not name.startswith(".") and name[:-5] not in names:
            os.unlink(os.path.join(folder, name))
