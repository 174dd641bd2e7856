# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings of the trail: from the callback's options into ``settings.json``, and what changed since the last run.

``settings.json`` in the log's directory holds the effective settings of the last run. The command line and the timers
work with them, and a run that begins with other ones records ``CONFIG_CHANGE``.

Whether runs took place without a record can't be seen from the trail itself. Outside of it, in the state directory, a
small file counts the runs of this user by the trail that they wrote to. A run that finds others in between tells so:
they went to another directory, or their trail could not be opened. What never loaded the callback leaves no mark.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..._core.errors import ValidationError
from ..._core.files import read_bytes, write_atomic
from ..._core.paths import base_directory
from .canonical import plain
from .sensitive import DEFAULT_SENSITIVE_PATHS

__all__ = ["SETTINGS_NAME", "Settings", "changes", "gap_since_last_run", "load_settings", "save_settings"]

SETTINGS_NAME = "settings.json"
_ACTIVITY = "audit-activity.json"
_LOCK = "audit-activity.lock"
_MOST_DIRECTORIES = 50
_CREDENTIALS = re.compile(r"://[^/@\s]*:[^/@\s]+@")


@dataclass(frozen=True)
class Settings:
    """The options of the callback; see its documentation. Times in seconds, sizes in bytes."""

    log_directory: str
    metrics_path: str | None
    on_error: str = "warn"
    detail: str = "summary"
    redact_patterns: tuple[str, ...] = ()
    sync_interval: float = 0.2
    line_limit: int = 16384
    show_location: bool = True
    state_directory: str = ""
    blob_limit: int = 1048576
    diff: bool = False
    sensitive_paths: tuple[str, ...] = DEFAULT_SENSITIVE_PATHS
    checkpoint_interval: float = 30.0
    segment_bytes: int = 100_000_000
    segment_age: int = 0
    witnesses: tuple[str, ...] = ("journal",)
    metrics_sinks: tuple[str, ...] = ()
    metrics_groups: tuple[str, ...] = ()

    @classmethod
    def from_options(cls, get: Callable[[str], Any]) -> Settings:
        """Return the settings from ``get(name)``, with the defaults that depend on the user."""
        values: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            value = plain(get(field.name))
            values[field.name] = tuple(str(entry) for entry in value) if isinstance(value, list) else value
        state = base_directory("state")
        metrics = values["metrics_path"] or os.path.join(state, "metrics", "scripts_toolkit.prom")
        values["metrics_path"] = None if metrics == "none" else os.path.abspath(os.path.expanduser(metrics))
        values["log_directory"] = os.path.abspath(
            values["log_directory"] or os.path.join(base_directory("log"), "audit")
        )
        values["state_directory"] = os.path.abspath(values["state_directory"] or state)
        for name in ("sync_interval", "checkpoint_interval"):
            values[name] = float(values[name])
        return cls(**values)

    def check(self) -> None:
        """Make sure that what is kept in files and records holds no credentials.

        :raises ValidationError: a URL has a password in it.
        """
        for name in ("witnesses", "metrics_sinks"):
            for url in getattr(self, name):
                if _CREDENTIALS.search(url):
                    raise ValidationError(
                        f"{name}: a URL has a password in it, which would lie in {SETTINGS_NAME}.",
                        hint="Leave it out of the URL; see docs/audit-trail.md for where credentials go.",
                    )

    def shown(self) -> dict[str, Any]:
        """Return them for ``settings.json``: redaction patterns, which may spell a secret, as their number and a
        digest."""
        shown: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            shown[field.name] = list(value) if isinstance(value, tuple) else value
        joined = "\n".join(self.redact_patterns).encode("utf-8", "replace")
        digest = hashlib.scrypt(joined, salt=b"scripts.toolkit", n=1024, r=8, p=1, dklen=8).hex() if joined else ""
        shown["redact_patterns"] = {"number": len(self.redact_patterns), "digest": digest}
        return shown


def load_settings(directory: str) -> dict[str, Any] | None:
    """Return what ``settings.json`` in the log's directory holds; ``None`` where there is none that can be read."""
    try:
        found = json.loads(read_bytes(os.path.join(directory, SETTINGS_NAME)) or b"null")
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def save_settings(directory: str, shown: Mapping[str, Any]) -> None:
    """Write ``settings.json`` (0600).

    :raises OSError: it can't be written.
    """
    data = json.dumps(shown, sort_keys=True, indent=1).encode("utf-8")
    write_atomic(os.path.join(directory, SETTINGS_NAME), data + b"\n")


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return ``{name: {before, after}}`` of the settings that differ."""
    return {
        name: {"before": plain(before.get(name)), "after": plain(after.get(name))}
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    }


def gap_since_last_run(state_directory: str, log_directory: str, recorded: bool = True) -> dict | None:
    """Note this run, and return what is known of runs since the last one that was recorded in this trail.

    :param recorded: False: this run's trail could not be opened.
    :return: ``{runs_elsewhere, directories, unrecorded_runs, since}``, or ``None`` where there were none, or where
        another run is noting itself just now.
    :raises OSError: the state directory can't be written.
    """
    os.makedirs(state_directory, mode=0o700, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    lock = os.open(os.path.join(state_directory, _LOCK), flags, 0o600)
    try:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return None  # a run never waits for another
        path = os.path.join(state_directory, _ACTIVITY)
        activity = _activity(path)
        gap = _note(activity, log_directory, recorded)
        write_atomic(path, json.dumps(activity, sort_keys=True).encode("utf-8"), durable=False)
        return gap
    finally:
        os.close(lock)


def _activity(path: str) -> dict:
    try:
        found = json.loads(read_bytes(path) or b"{}")
        return {"trails": dict(found["trails"]), "unrecorded": dict(found["unrecorded"])}
    except (ValueError, KeyError, TypeError):
        return {"trails": {}, "unrecorded": {}}


def _note(activity: dict, directory: str, recorded: bool) -> dict | None:
    """``trails``: by directory the time of its last run and its number of runs; ``others_at`` how many runs all other
    trails had then. ``unrecorded``: by directory the number of runs whose trail could not be opened."""
    trails, unrecorded = activity["trails"], activity["unrecorded"]
    now = int(time.time())
    if not recorded:
        unrecorded[directory] = unrecorded.get(directory, 0) + 1
        return None
    others = {name: trail["runs"] for name, trail in trails.items() if name != directory}
    mine = trails.get(directory)
    gap: dict[str, Any] = {}
    if mine is not None:
        known = mine.get("others", {})
        more = {name: runs - known.get(name, 0) for name, runs in others.items() if runs > known.get(name, 0)}
        if more:
            gap = {"runs_elsewhere": sum(more.values()), "directories": sorted(more)}
    if unrecorded.get(directory):
        gap["unrecorded_runs"] = unrecorded.pop(directory)
    if gap and mine is not None:
        gap["since"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(mine["time"]))
    trails[directory] = {"time": now, "runs": (mine["runs"] if mine else 0) + 1, "others": others}
    for name in sorted(trails, key=lambda key: trails[key]["time"])[:-_MOST_DIRECTORIES]:
        del trails[name]
    return gap or None
